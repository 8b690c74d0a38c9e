"""The `pipeline:` section of a params file: what each task may use, how long it may take, how often it is tried."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

from pydantic import Field

from components.core.config import Values, merge, validate
from components.core.errors import BadInput

SECTION = "pipeline"
"""Key of the params file. No stage reads it, and it changes no result."""


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
        env: Environment variables. Secrets do not belong here: the manifests mount them by reference.
    """

    cpu: str = Field(default="2", pattern=r"^([0-9]+(\.[0-9]+)?|[0-9]+m)$")
    memory: str = Field(default="8Gi", pattern=r"^[0-9]+(E|Ei|P|Pi|T|Ti|G|Gi|M|Mi|K|Ki)?$")
    gpus: int = Field(default=0, ge=0)
    accelerator: str = "nvidia.com/gpu"
    shm: str = Field(default="1Gi", pattern=r"^([0-9]+(E|Ei|P|Pi|T|Ti|G|Gi|M|Mi|K|Ki)?)?$")
    retries: int = Field(default=2, ge=0, le=10)
    backoff_seconds: int = Field(default=30, ge=0)
    timeout_seconds: int = Field(default=86400, ge=0)
    cache: bool = True
    env: dict[str, str] = {}


class PipelineSettings(Values):
    """The section itself.

    Attributes:
        defaults: What every task starts from.
        stages: Per stage, the keys that differ.
    """

    defaults: TaskSettings = TaskSettings()
    stages: dict[str, dict[str, Any]] = {}

    def task(self, stage: str, image: Literal["cpu", "gpu"]) -> TaskSettings:
        """Settings of one stage. Raises BadInput naming a wrong key."""
        base = self.defaults.model_dump()
        values = merge(base if image == "gpu" else {**base, "gpus": 0}, self.stages.get(stage, {}))
        return validate(TaskSettings, values, f"{SECTION}.stages.{stage}")


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
