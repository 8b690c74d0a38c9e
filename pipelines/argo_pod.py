"""What a task's settings are in Argo's words: resources, volumes, retries, and a container that may do little."""

from collections.abc import Mapping
from typing import Any

from hera.workflows import ConfigMapEnv, EmptyDirVolume, Env, ExistingVolume, Resources, RetryStrategy, SecretEnv
from hera.workflows import models as argo

from pipelines.settings import TaskSettings

SCRATCH = "/tmp"  # noqa: S108  a volume of the pod's own; everything else of the root file system is read-only
INPUTS = f"{SCRATCH}/inputs"
OUTPUTS = f"{SCRATCH}/outputs"

RETRIED = 'lastRetry.status == "Error" || asInt(lastRetry.exitCode) != 2'
"""A drained or preempted pod is an error of Argo's, without an exit code of the stage; 2 is bad input, and stays so."""


def pod(settings: TaskSettings) -> dict[str, Any]:
    """The options of a container template that a task's settings decide."""
    return {
        "working_dir": SCRATCH,  # where relative paths of values, the cache's for one, can be written
        "env": _environment(settings),
        "resources": _resources(settings),
        "volumes": _volumes(settings),
        "active_deadline_seconds": settings.timeout_seconds or None,
        "retry_strategy": retries(settings),
        "tolerations": [argo.Toleration(**one.model_dump(exclude_none=True)) for one in settings.tolerations] or None,
        "node_selector": settings.node_selector or None,
        "pod_security_context": argo.PodSecurityContext(
            run_as_non_root=True,
            run_as_user=settings.user,
            run_as_group=settings.user,
            fs_group=settings.user,
            seccomp_profile=argo.SeccompProfile(type="RuntimeDefault"),
        ),
        "security_context": argo.SecurityContext(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=argo.Capabilities(drop=["ALL"]),
        ),
    }


def retries(settings: TaskSettings) -> RetryStrategy | None:
    """Bounded retries with back-off, of everything but bad input."""
    if not settings.retries:
        return None
    return RetryStrategy(
        limit=settings.retries,
        retry_policy="Always",
        expression=RETRIED,
        backoff=argo.Backoff(duration=f"{settings.backoff_seconds}s", factor=2),
    )


def _environment(settings: TaskSettings) -> list[Env | ConfigMapEnv | SecretEnv]:
    return [
        *(Env(name=name, value=value) for name, value in sorted(settings.env.items())),
        *(
            ConfigMapEnv(name=name, config_map_name=source, config_map_key=key, optional=True)
            for name, source, key in _references(settings.config_maps)
        ),
        *(
            SecretEnv(name=name, secret_name=source, secret_key=key, optional=True)
            for name, source, key in _references(settings.secrets)
        ),
    ]


def _references(sources: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str, str]]:
    """Name of the variable, name of what holds it, and key in there."""
    return sorted((name, source, key) for source, keys in sources.items() for key, name in keys.items())


def _resources(settings: TaskSettings) -> Resources:
    return Resources(
        cpu_request=settings.cpu,
        cpu_limit=settings.cpu,
        memory_request=settings.memory,
        memory_limit=settings.memory,
        gpus=settings.gpus or None,
        gpu_flag=settings.accelerator,
    )


def _volumes(settings: TaskSettings) -> list[EmptyDirVolume | ExistingVolume]:
    claims = [
        ExistingVolume(name=claim, claim_name=claim, mount_path=path)
        for claim, path in sorted(settings.volumes.items())
    ]
    scratch = EmptyDirVolume(name="scratch", mount_path=SCRATCH)
    if not settings.shm:
        return [scratch, *claims]
    shm = EmptyDirVolume(name="shm", mount_path="/dev/shm", medium="Memory", size_limit=argo.Quantity(settings.shm))  # noqa: S108
    return [scratch, shm, *claims]
