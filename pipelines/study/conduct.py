"""`thaw study`: make the runs, watch what comes in, and write what was found."""

import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from components.core.errors import BadInput
from components.core.store import durable
from pipelines.local import Run
from pipelines.study.carry_out import carry_out
from pipelines.study.picture import paint
from pipelines.study.plan import StudyRun, plan
from pipelines.study.results import DRAWS, LAST_PHASE, Findings
from pipelines.study.trainable import paint_trainable, trainable_by_epoch
from pipelines.study.values import Study

log = logging.getLogger(__name__)

RESULTS = "study.json"
PICTURE = "study.png"
TRAINABLE = "trainable.png"


def conduct(study: Study, base: Run, seeds: Sequence[int], workers: int = 1, draws: int = DRAWS) -> dict[str, Any]:
    """Make the runs that are not made yet, and tell what all of them found.

    Results are written whenever every variant has been run with one more seed, and at the end.

    Args:
        base: The recipe's values, the data, and the study's folder.
        seeds: Training seeds; the split is the same for all.
        workers: Runs side by side.
        draws: Bootstrap samples of the intervals.

    Returns:
        What is written to `out/study.json`.

    Raises:
        ThawError: The study cannot be made as asked, or a run failed.
    """
    runtime = base.values.get("runtime") or {}
    if runtime.get("extend_epochs"):
        raise BadInput(
            "a study compares what was trained as configured",
            where="--extend-epochs",
            remedy="set the epochs themselves, for every variant or for one",
        )
    runs = plan(study, base, seeds, workers)
    restart = uuid.uuid4().hex if runtime.get("restart") else ""
    findings, left = Findings(study, draws), {seed: len(study.variants) for seed in seeds}

    def finished(one: StudyRun, summary: Mapping[str, Any]) -> None:
        findings.add(one, summary)
        _say(one, summary)
        left[one.seed] -= 1
        if left[one.seed] == 0 and any(left.values()):
            write_results(findings, base, seeds)

    carry_out(runs, workers, restart, finished)
    return write_results(findings, base, seeds)


def write_results(findings: Findings, base: Run, seeds: Sequence[int]) -> dict[str, Any]:
    """Write `study.json` and the pictures of what has been found so far."""
    summaries = [summary for by_seed in findings.summaries.values() for summary in by_seed.values()]
    results = {
        "recipe": base.recipe,
        "size": base.size,
        "about": findings.study.about,
        "headline": findings.headline,
        "synthetic": any(summary["synthetic"] for summary in summaries),
        "seeds": [seed for seed in seeds if any(seed in by_seed for by_seed in findings.summaries.values())],
        "variants": findings.study.variants,
        "systems": findings.systems(),
        "measures": findings.measures(),
        "costs": findings.costs(),
    }
    text = json.dumps(results, indent=1, allow_nan=False) + "\n"
    durable.replace(base.out / RESULTS, text.encode())
    durable.replace(base.out / PICTURE, paint(results))
    histories = {variant: steps for variant, one in findings.examples().items() if (steps := trainable_by_epoch(*one))}
    if histories:
        durable.replace(base.out / TRAINABLE, paint_trainable(histories))
    return results


def _say(one: StudyRun, summary: Mapping[str, Any]) -> None:
    """The run's headline, as soon as there is one."""
    evaluation = summary["stages"].get("evaluate")
    if evaluation is None:
        return
    metrics = evaluation["metrics"]
    found = metrics["systems"].get(LAST_PHASE, {}).get(metrics["headline"])
    if found is not None and found["mean"] is not None:
        log.info("%s: %s of %s is %.3f", one.name, metrics["headline"], LAST_PHASE, found["mean"])
