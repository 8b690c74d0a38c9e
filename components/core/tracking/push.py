"""Pushes how a stage ended to a Pushgateway, for scrapers that come too late for short stages."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from importlib import metadata

from prometheus_client import push_to_gateway

from components.core.tracking.registry import Metrics

JOB = "thaw"
TIMEOUT_SECONDS = 10.0

log = logging.getLogger(__name__)


def installed_version() -> str:
    """Version of the installed Thaw; `unknown` where it runs without being installed."""
    try:
        return metadata.version("thaw")
    except metadata.PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True)
class RunLabels:
    """What a run is of: few values each, so that a rerun replaces its predecessor's series.

    Attributes:
        recipe: Name of the recipe; the `pipeline` of the Pushgateway's group.
        stage: Name of the stage.
        seed: Training seed; None for what has none, a whole pipeline.
        fold: Fold of a cross-validation; empty without one.
        version: Version of Thaw; the installed one by default.
    """

    recipe: str
    stage: str
    seed: int | None = 0
    fold: str = ""
    version: str = field(default_factory=installed_version)

    def info(self) -> dict[str, str]:
        """Labels of `thaw_stage_info`."""
        return {**self.group(), "version": self.version}

    def group(self) -> dict[str, str]:
        """`IDENTITY`, the Pushgateway's grouping key besides the job. Never a run id: groups are kept for ever."""
        seed = "" if self.seed is None else str(self.seed)
        return {"pipeline": self.recipe, "stage": self.stage, "fold": self.fold, "seed": seed}


@dataclass(frozen=True)
class Outcome:
    """How a stage ended.

    Attributes:
        exit_code: 0 done, 2 bad input, 75 temporary, others bugs.
        seconds: Wall time; None where it is not known.
        metrics: Final metrics by name.
        nonfinite: Losses or gradients that were not finite. They end the stage at once, so no scrape would see them.
    """

    exit_code: int
    seconds: float | None
    metrics: Mapping[str, float]
    nonfinite: int = 0


def push_outcome(address: str, labels: RunLabels, outcome: Outcome) -> bool:
    """Replace the group's metrics at the Pushgateway.

    A gateway that does not answer must not fail the training it would have reported, so it is only warned of.

    Args:
        address: `host:port` or URL. One with a name and password is not used: messages of errors would repeat it.

    Returns:
        True if the gateway took it.
    """
    if "@" in address:
        log.warning("nothing is pushed: runtime.pushgateway must be host:port or a URL, without a name and password")
        return False
    metrics = Metrics("thaw_outcome_")
    metrics.set("thaw_outcome_success", float(outcome.exit_code == 0))
    metrics.set("thaw_outcome_exit_code", outcome.exit_code)
    metrics.set("thaw_outcome_timestamp_seconds", time.time())
    if outcome.seconds is not None:
        metrics.set("thaw_outcome_duration_seconds", outcome.seconds)
    metrics.set("thaw_outcome_nonfinite", outcome.nonfinite)
    for name, value in outcome.metrics.items():
        metrics.set("thaw_outcome_metric", value, metric=name)
    try:
        push_to_gateway(address, JOB, metrics.registry, labels.group(), timeout=TIMEOUT_SECONDS)
    except (OSError, ValueError, HTTPException) as error:  # the last two: an address that cannot be read
        log.warning("the outcome could not be pushed to %s: %s", address, error)
        return False
    return True
