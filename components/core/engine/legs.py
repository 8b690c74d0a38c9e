"""A stage's training: its phase, or the legs that a strategy makes of it, one after the other in one run."""

from dataclasses import replace

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta
from components.core.engine.job import Job, Result
from components.core.engine.progress import Progress
from components.core.engine.ranks import here
from components.core.engine.run import PhaseRun
from components.core.engine.same_work import require_same_work
from components.core.engine.saver import Saver
from components.core.tracking.tracker import Tracker


def train(job: Job, tracker: Tracker) -> Result:
    """Run a phase, and the legs that follow it, to the end, continuing from the newest checkpoint if there is one.

    All legs share one series of checkpoints. What trains in a leg trains in the later ones too, so that a checkpoint of
    any of them holds whatever the stage has changed.
    """
    ranks = here()
    with ranks.failing_together():
        require_same_work(ranks, job.identity)
        run = PhaseRun(job, tracker)
        with Saver(job.store, job.runtime, job.identity, tracker, ranks) as saver:
            run = _resumed(run, job, saver, tracker)
            run.train(saver)
            while run.progress.leg + 1 < job.legs:
                run = _next(run, job, tracker)
                run.train(saver)
        return run.result()


def _resumed(run: PhaseRun, job: Job, saver: Saver, tracker: Tracker) -> PhaseRun:
    """The run as the newest valid checkpoint of this very stage left it, which may be in a later leg."""
    found = saver.newest(run.fingerprint)
    if found is None:
        return run
    progress = Progress.load(found.meta["progress"])
    if progress.leg:
        run = PhaseRun(job.leg(progress.leg), tracker)
    run.restore(found, progress)
    return run


def _next(run: PhaseRun, job: Job, tracker: Tracker) -> PhaseRun:
    """The leg after one that is done: it begins with what that one hands on."""
    start = _handed_on(run.result(), job.name)
    run.progress.next_leg()
    return PhaseRun(replace(job.leg(run.progress.leg), start=start), tracker, run.progress)


def _handed_on(result: Result, stage: str) -> ModelArtifact:
    meta = ModelMeta(recipe={}, phase=stage, step=result.steps, extra={"averages": result.averages})
    return ModelArtifact(result.weights, result.optimizer, meta, digest="")
