"""Choices that are made once a phase has ended, of the weights that it hands on."""

from collections.abc import Callable

from components.core.engine.device import Device
from components.core.engine.features import FrozenFeatures, Views, silent
from components.core.engine.groups import owners
from components.core.engine.job import Job, Result
from components.core.engine.snapshot import put_whole
from components.core.engine.task import Fits
from components.core.engine.validate import measure

CALIBRATION, VALIDATION = "calibration", "val"
"""Where they are made: nothing was trained on the first, and only the end of training was chosen on the second."""


def fitted(job: Job, result: Result, heartbeat: Callable[[], None] = silent) -> dict[str, str]:
    """What the task fits to its finished model; empty where it fits nothing, and where no step was made.

    All processes of a launch share the work, and each gets the same.

    Args:
        job: Of the phase.
        result: What it hands on.
        heartbeat: Called after every batch.
    """
    task = job.task
    if not isinstance(task, Fits) or not result.steps:
        return {}  # a phase of no epochs passes on what was fitted before it
    split = CALIBRATION if job.dataset.rows(CALIBRATION) else VALIDATION
    model = task.build_model(job.seed)
    put_whole(model, result.weights, f"what {job.name} hands on")
    device = Device(job.runtime, job.phase.precision)
    device.place(model).eval()
    examples, parts = task.examples(job.dataset, split), task.parts(model)
    prefixes = task.prefixes(model, examples, frozenset(parts), job.phase.losses)
    views = Views.identity(examples.sources)
    features = FrozenFeatures(model, owners(model, parts), prefixes, examples, views, None, device)
    measured = measure(
        task=task,
        model=model,
        examples=examples,
        features=features,
        losses=job.phase.losses,
        batch_size=job.phase.batch_size,
        workers=job.runtime.workers,
        device=device,
        heartbeat=heartbeat,
    )
    return task.fit(measured, split)
