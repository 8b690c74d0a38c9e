"""The `runtime:` section: how a stage runs here. Nothing in it changes a result, so no digest covers it."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from components.core.config import Values

DEFAULT_FOLDER = Path(".thaw")


class Cache(Values):
    """Where evaluations of frozen layers are kept.

    Attributes:
        enabled: Off recomputes every frozen layer in every step (for comparison and for tiny disks).
        dir: Folder of the cache; shared by runs, each key is written under its own lock.
        max_gb: Bound on the folder, 10^9 bytes; least recently used keys go first.
        dtype: Storage type of cached features.
    """

    enabled: bool = True
    dir: Path = DEFAULT_FOLDER / "cache"
    max_gb: float = Field(default=20.0, gt=0)
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"


class Checkpoints(Values):
    """Where and how often unfinished training is saved.

    Attributes:
        store: Folder or `s3://bucket/prefix`; None keeps checkpoints beside the stage's output.
        every_steps: Optimiser steps between checkpoints; 0 saves at epoch ends only.
        keep_last: Newest checkpoints kept. Each of them also holds the best weights so far.
        keep_every_epochs: Keep every n-th epoch's checkpoint too; 0 keeps none.
        lease_seconds: A writer that has not renewed its lease for so long is taken for dead.
    """

    store: str | None = None
    every_steps: int = Field(default=200, ge=0)
    keep_last: int = Field(default=2, ge=2)
    keep_every_epochs: int = Field(default=0, ge=0)
    lease_seconds: float = Field(default=30.0, gt=0)


class Runtime(Values):
    """How a stage runs here.

    Attributes:
        device: auto takes CUDA, then MPS, then the CPU.
        workers: Threads that load samples ahead of the step; 0 loads in the step.
        threads: Intra-op threads of torch; 0 leaves torch's default.
        compile: Compile the layers that train (torch.compile); refused where there is no compiler. Like another device,
            it changes last digits, and a run that was begun with it goes on with it.
        metrics_port: Port of the Prometheus scrape endpoint; 0 serves none.
        metrics_address: Who may scrape: `loopback` this machine only, `all` other machines too (pods).
        tensorboard: Folder for TensorBoard logs; None writes none.
        allow_inexact: Continue a run in another environment, at the price of other last digits.
        restart: Discard unfinished and finished work of the stage and start over.
        extend_epochs: Epochs to train beyond the configured ones, or beyond those after which patience ended them: a
            run, finished or not, goes on from its last checkpoint. Recorded as inexact in the model.
        pushgateway: Address of a Pushgateway for the final outcome; None pushes nothing.
        results: Folder or `s3://bucket/prefix` of finished stages by content, which runs share: a stage that finished
            anywhere with the same code, values and inputs is fetched from there. None keeps nothing.
    """

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    workers: int = Field(default=2, ge=0)
    threads: int = Field(default=0, ge=0)
    compile: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    progress: bool = True
    metrics_port: int = Field(default=0, ge=0, le=65535)
    metrics_address: Literal["loopback", "all"] = "loopback"
    pushgateway: str | None = None
    results: str | None = None
    tensorboard: Path | None = None
    allow_inexact: bool = False
    restart: bool = False
    extend_epochs: int = Field(default=0, ge=0)
    cache: Cache = Cache()
    checkpoints: Checkpoints = Checkpoints()
