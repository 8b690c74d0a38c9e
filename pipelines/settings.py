"""The `pipeline:` section of a params file: what each task may use, how long it may take, how often it is tried."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from components.core.config import Values, merge, validate
from components.core.errors import BadInput

SECTION = "pipeline"
"""Key of the params file. No stage reads it, and it changes no result."""

_QUANTITY = "[0-9]+(E|Ei|P|Pi|T|Ti|G|Gi|M|Mi|K|Ki)?"


class Toleration(Values):
    """A taint that a task's pod does not mind.

    Attributes:
        key: Of the taint.
        operator: Exists, or Equal to `value`.
        effect: The one that is tolerated; None tolerates all of them.
    """

    key: str
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class TaskSettings(Values):
    """How one task runs on a cluster.

    Attributes:
        cpu: Cores requested and allowed, in Kubernetes' spelling.
        memory: Memory requested and allowed, in Kubernetes' spelling.
        gpus: Accelerators; 0 asks for none. Tasks on the cpu image never get one.
        accelerator: Resource name of an accelerator.
        shm: Size of /dev/shm, counted as memory; empty leaves the container's 64 MiB.
        retries: Further attempts after a failure.
        backoff_seconds: Wait before the first retry; it doubles with each one.
        timeout_seconds: Longest run of one attempt; 0 sets no bound.
        cache: May the pipeline take an earlier task's outputs when every parameter and digest is equal?
        env: Environment variables. Secrets do not belong here.
        secrets: Environment variable by key, by name of a secret of the namespace. Only the reference is written; pods
            start without the variable where there is no such secret, because they may have an identity of their own.
        config_maps: The same for config maps: where the S3 server is, for one.
        volumes: Mount point by name of a persistent volume claim, for `runtime.cache.dir` and pretrained weights.
        tolerations: Taints that the pod does not mind.
        node_selector: Labels that its node has.
        user: User of the process in the container; the images' own by default.
    """

    cpu: str = Field(default="2", pattern=r"^([0-9]+(\.[0-9]+)?|[0-9]+m)$")
    memory: str = Field(default="8Gi", pattern=rf"^{_QUANTITY}$")
    gpus: int = Field(default=0, ge=0)
    accelerator: str = "nvidia.com/gpu"
    shm: str = Field(default="1Gi", pattern=rf"^({_QUANTITY})?$")
    retries: int = Field(default=2, ge=0, le=10)
    backoff_seconds: int = Field(default=30, ge=0)
    timeout_seconds: int = Field(default=86400, ge=0)
    cache: bool = True
    env: dict[str, str] = {}
    secrets: dict[str, dict[str, str]] = {}
    config_maps: dict[str, dict[str, str]] = {}
    volumes: dict[str, str] = {}
    tolerations: list[Toleration] = []
    node_selector: dict[str, str] = {}
    user: int = Field(default=65532, gt=0)


class PipelineSettings(Values):
    """The section itself.

    Attributes:
        defaults: What every task starts from.
        gpu: What differs for every task on the gpu image.
        stages: Per stage, the keys that differ.
        folds: Folds of a cross-validation, each a branch of the graph; 0 takes the split of the values.
        seeds: Training seeds, each a branch; none takes the seed of the values.
        parallelism: Members of a cross-validation that run at a time; 0 sets no bound.
        service_account: Of the pods; empty leaves the platform's own.
        pull_secrets: Names of the secrets by which images are pulled.
    """

    defaults: TaskSettings = TaskSettings()
    gpu: dict[str, Any] = {}
    stages: dict[str, dict[str, Any]] = {}
    folds: int = Field(default=0, ge=0, le=1000)
    seeds: list[int] = []
    parallelism: int = Field(default=0, ge=0)
    service_account: str = ""
    pull_secrets: list[str] = []

    @field_validator("folds")
    @classmethod
    def _several(cls, folds: int) -> int:
        if folds in {1, 2}:
            raise ValueError("a cross-validation has 3 folds at least: to train, to choose, to test; 0 for none")
        return folds

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds) or any(seed < 0 for seed in seeds):
            raise ValueError("seeds are different whole numbers from 0")
        return seeds

    def task(self, stage: str, image: Literal["cpu", "gpu"]) -> TaskSettings:
        """Settings of one stage. Raises BadInput naming a wrong key."""
        base = self.defaults.model_dump()
        of_image = merge(base, self.gpu) if image == "gpu" else {**base, "gpus": 0}
        return validate(TaskSettings, merge(of_image, self.stages.get(stage, {})), f"{SECTION}.stages.{stage}")


def read_settings(params: Mapping[str, Any], stages: Collection[str]) -> PipelineSettings:
    """The `pipeline:` section of resolved params, or its defaults.

    Raises:
        BadInput: A key is wrong, or a stage is named that the graph does not have.
    """
    settings = validate(PipelineSettings, params.get(SECTION) or {}, SECTION)
    if unknown := sorted(set(settings.stages) - set(stages)):
        raise BadInput(
            f"the pipeline has no stages {unknown}",
            where=f"{SECTION}.stages",
            remedy=f"choose among {sorted(stages)}",
        )
    return settings
