"""Tasks as containers of this machine's Docker, by kfp's DockerRunner with its gaps closed.

kfp lets Docker remove a container the moment it ends, and takes one whose exit code it then cannot read for a success.
Here a container stays until its code has been read.
"""

import os
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from docker.types import DeviceRequest, Mount
from kfp import local
from kfp.local import docker_task_handler, status

from components.core.errors import BadInput
from components.core.tracking.logs import redact, secrets_of
from pipelines.runner.journal import Journal

HANDED_ON = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED"),
    *("HF_HUB_OFFLINE", "OMP_NUM_THREADS", "MKL_NUM_THREADS"),
)
"""Variables of this process that containers get; no other one does."""

LABEL = "thaw.run"
"""Label of every container: the folder of its run."""

NOBODY = 65532
"""User and group of the images; containers of a run that root starts are this user's."""

SECONDS_TO_STOP = 20
"""Between SIGTERM and SIGKILL, for a container whose run is interrupted."""


@dataclass(frozen=True)
class AsContainers:
    """Every task is a container: read-only root, no capabilities, not root, no way to new privileges.

    It sees the folder of the run (read and write, at the same path), `data` (read only), and a `/tmp` in memory.

    Attributes:
        data: The user's raw data; None where the recipe makes its own.
        network: `host`, so that an address means the same inside and outside, `none`, or the name of a network.
        shm: Size of /dev/shm.
        gpus: GPUs that every container sees; -1 gives all.
    """

    data: Path | None = None
    network: str = "host"
    shm: str = "1g"
    gpus: int = 0

    def runner(self, root: Path) -> Any:
        """kfp's DockerRunner. Raises BadInput: Docker does not answer."""
        with _client() as client:
            for orphan in client.containers.list(all=True, filters={"label": f"{LABEL}={root}"}):
                orphan.remove(force=True)  # its launcher was killed; this one holds the folder's lock
        user, group = os.getuid() or NOBODY, os.getgid() or NOBODY
        if user != os.getuid():
            _hand_over(root, user, group)
        return local.DockerRunner(**self.options(root, f"{user}:{group}"))

    def options(self, root: Path, user: str) -> dict[str, Any]:
        """What `docker run` is told."""
        return {
            "environment": {name: os.environ[name] for name in HANDED_ON if name in os.environ},
            "labels": {LABEL: str(root)},
            "user": user,
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "tmpfs": {"/tmp": "mode=1777"},  # noqa: S108  the container's own
            "shm_size": self.shm,
            "network_mode": self.network,
            "working_dir": str(root),
            "mounts": [] if self.data is None else [_read_only(self.data.resolve())],
            "device_requests": [DeviceRequest(count=self.gpus, capabilities=[["gpu"]])] if self.gpus else [],
        }

    def handler(self, journal: Journal) -> tuple[ModuleType, str, Any]:
        """Where kfp looks for the class that runs a task, and what stands there instead."""
        return docker_task_handler, "DockerTaskHandler", partial(Container, journal)


class Container(docker_task_handler.DockerTaskHandler):
    """Runs a task to its end, and reads its exit code before the container is gone."""

    def __init__(self, journal: Journal, **task: Any) -> None:
        super().__init__(**task)
        self.journal = journal

    def run(self) -> status.Status:
        """Run to the end, streaming the output.

        Returns:
            FAILURE for an exit code that asks for a retry.

        Raises:
            StepFailed: For every other exit code but 0.
            BadInput: The image is not here, or Docker refuses the container.
        """
        with _client() as client:
            container = self._create(client)
            try:
                container.start()
                decoder = getincrementaldecoder("utf-8")("replace")  # a chunk may end inside a character
                for chunk in container.logs(stream=True):
                    print(decoder.decode(chunk), end="")  # noqa: T201  the step's own output, as kfp shows it
                code = int(container.wait()["StatusCode"])
            except APIError as error:
                raise _refused(error, self.image) from None
            except BaseException:
                container.stop(timeout=SECONDS_TO_STOP)
                raise
            finally:
                container.remove(force=True)
        self.journal.exited(128 - code if code > 128 else code)  # a signal, as a process of this machine tells it
        return status.Status.SUCCESS if code == 0 else status.Status.FAILURE

    def _create(self, client: docker.DockerClient) -> Any:
        try:
            client.images.get(self.image)
            return client.containers.create(
                self.image,
                self.full_command,
                entrypoint=[],  # the command is whole; an image's own would come before it
                volumes=self.get_volumes_to_mount(client),
                environment=self.env_vars,
                **self.runner.container_run_args,
            )
        except ImageNotFound:
            raise BadInput(
                "no such image on this machine", where=self.image, remedy="`make images`, or `docker pull` it"
            ) from None
        except APIError as error:
            raise _refused(error, self.image) from None


@contextmanager
def _client() -> Iterator[docker.DockerClient]:
    try:
        client = docker.from_env()
        client.ping()
    except DockerException:
        raise BadInput(
            "Docker does not answer",
            where=os.environ.get("DOCKER_HOST", "the default socket"),
            remedy="start it, or name its socket in DOCKER_HOST",
        ) from None
    try:
        yield client
    finally:
        client.close()


def _refused(error: APIError, image: str) -> BadInput:
    """Docker's own words, which may quote the environment."""
    words = redact(str(error.explanation or error), secrets_of(os.environ))
    return BadInput(f"Docker refuses the container: {words}", where=image, remedy="mend what it names")


def _read_only(path: Path) -> Mount:
    return Mount(target=str(path), source=str(path), type="bind", read_only=True)


def _hand_over(root: Path, user: int, group: int) -> None:
    """Root's folder becomes the containers' user's, with what earlier runs left in it."""
    for folder, _, files in os.walk(root):  # links are not followed
        for path in (Path(folder), *(Path(folder) / name for name in files)):
            if path.lstat().st_uid != user:
                os.chown(path, user, group, follow_symlinks=False)
