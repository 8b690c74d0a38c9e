"""Every metric of Thaw: its name, type, labels and help. Dashboards and alert rules are checked against this file.

Names follow the Prometheus rules: prefix `thaw_`, base units, `_total` on counters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.registry import Collector

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

STEP_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds in seconds: from a cached step of a tiny model to a 3-D volume on a CPU."""

SAVE_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Upper bounds in seconds: from a tiny local checkpoint to a large one over a slow link."""


@dataclass(frozen=True)
class Metric:
    """One metric family.

    Attributes:
        name: Full name as queries write it, `_total` included.
        kind: Prometheus type.
        help: One line for the scrape page.
        labels: Label names; every one has few values.
        buckets: Upper bounds of a histogram, in the unit the name ends with.
        at_scrape: Read from the machine when somebody scrapes (see `Metrics.attach`), not set by the run.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    at_scrape: bool = False

    def series(self) -> frozenset[str]:
        """Names of the time series a query may use."""
        if self.kind != "histogram":
            return frozenset({self.name})
        return frozenset(f"{self.name}_{suffix}" for suffix in ("bucket", "count", "sum"))


IDENTITY = ("pipeline", "stage", "fold", "seed")
"""What a run is of, as the Pushgateway groups outcomes too: a query may join the two by these labels."""

METRICS: tuple[Metric, ...] = (
    Metric("thaw_stage_info", "gauge", "1 while a stage runs, with what it runs.", (*IDENTITY, "version")),
    # The next two carry whose they are: alerts read them when their process does not answer any more.
    Metric("thaw_heartbeat_timestamp_seconds", "gauge", "Unix time at which the stage last showed progress.", IDENTITY),
    Metric("thaw_resume_timestamp_seconds", "gauge", "Unix time at which this process took up earlier work.", IDENTITY),
    Metric("thaw_phase_start_timestamp_seconds", "gauge", "Unix time at which the phase's steps began.", ("phase",)),
    Metric("thaw_steps_total", "counter", "Optimiser steps done by this process.", ("phase",)),
    Metric("thaw_samples_total", "counter", "Samples trained on by this process.", ("phase",)),
    Metric("thaw_current_step", "gauge", "Optimiser step the phase has reached.", ("phase",)),
    Metric("thaw_planned_steps", "gauge", "Optimiser steps the phase will take at most.", ("phase",)),
    Metric("thaw_loss", "gauge", "Mean loss of the last step, by term.", ("phase", "term")),
    Metric("thaw_learning_rate", "gauge", "Learning rate of the last step, by parameter group.", ("phase", "group")),
    Metric("thaw_fusion_alpha", "gauge", "Weight of the frequency stream in the fusion gate.", ("phase",)),
    Metric("thaw_scalar", "gauge", "Other values an objective logs beside its losses.", ("phase", "name")),
    Metric("thaw_validation_metric", "gauge", "Metrics of the last validation.", ("phase", "metric")),
    Metric("thaw_epoch", "gauge", "Epoch of the last validation, from 0.", ("phase",)),
    Metric("thaw_step_seconds", "histogram", "Duration of a step, waiting included.", ("phase",), STEP_BUCKETS),
    Metric("thaw_data_wait_seconds", "histogram", "Part of a step spent waiting for data.", ("phase",), STEP_BUCKETS),
    Metric("thaw_checkpoint_seconds", "histogram", "Time to commit a checkpoint.", (), SAVE_BUCKETS),
    Metric("thaw_checkpoint_bytes", "gauge", "Size of the last committed checkpoint."),
    Metric("thaw_checkpoint_last_success_timestamp_seconds", "gauge", "Unix time of the last committed checkpoint."),
    Metric("thaw_resumes_total", "counter", "Times this stage went on from a checkpoint."),
    Metric("thaw_retries_total", "counter", "Repeated attempts, by what was tried.", ("operation",)),
    Metric("thaw_nonfinite_total", "counter", "Losses or gradients that were not finite."),
    Metric("thaw_quarantined_samples", "gauge", "Samples that prepare set aside as unusable."),
    Metric("thaw_cache_hits_total", "counter", "Frozen features read from the cache."),
    Metric("thaw_cache_misses_total", "counter", "Frozen features that had to be computed."),
    Metric(
        "thaw_gpu_memory_used_bytes", "gauge", "Memory in use on a GPU, by all its processes.", ("gpu",), at_scrape=True
    ),
    Metric("thaw_gpu_memory_total_bytes", "gauge", "Memory of a GPU.", ("gpu",), at_scrape=True),
    Metric(
        "thaw_gpu_utilization_ratio",
        "gauge",
        "Share of the last sample period in which a GPU worked.",
        ("gpu",),
        at_scrape=True,
    ),
    Metric("thaw_outcome_success", "gauge", "1 if the stage finished, 0 if it failed."),
    Metric("thaw_outcome_exit_code", "gauge", "Exit code: 0 done, 2 bad input, 75 temporary, others bugs."),
    Metric("thaw_outcome_timestamp_seconds", "gauge", "Unix time at which the stage ended."),
    Metric("thaw_outcome_duration_seconds", "gauge", "Wall time of the stage."),
    Metric("thaw_outcome_nonfinite", "gauge", "Losses or gradients that were not finite, which end a stage."),
    Metric("thaw_outcome_metric", "gauge", "Final metrics of the stage.", ("metric",)),
)

BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}


class Metrics:
    """The live values of every metric, in a registry of their own (never the process-wide one).

    Args:
        prefixes: Keep only the metrics whose names start with one of these; all by default.
    """

    def __init__(self, *prefixes: str) -> None:
        self.registry = CollectorRegistry()
        kept = [metric for metric in METRICS if metric.name.startswith(prefixes or "thaw_") and not metric.at_scrape]
        self._collectors = {metric.name: _collector(metric, self.registry) for metric in kept}

    def add(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        """Raise a counter by `amount` >= 0."""
        collector = self._labelled(name, labels)
        if not isinstance(collector, Counter):
            raise TypeError(f"{name} is not a counter")
        collector.inc(amount)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        collector = self._labelled(name, labels)
        if not isinstance(collector, Gauge):
            raise TypeError(f"{name} is not a gauge")
        collector.set(value)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Count one observation of a histogram."""
        collector = self._labelled(name, labels)
        if not isinstance(collector, Histogram):
            raise TypeError(f"{name} is not a histogram")
        collector.observe(value)

    def attach(self, collector: Collector) -> None:
        """Serve what `collector` reads at the time of the scrape."""
        self.registry.register(collector)

    def value(self, name: str, /, **labels: str) -> float | None:
        """Current value of one series; None where it has none yet."""
        return self.registry.get_sample_value(name, labels)

    def _labelled(self, name: str, labels: Mapping[str, str]) -> Counter | Gauge | Histogram:
        collector = self._collectors[name]
        return collector.labels(**labels) if labels else collector


def _collector(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    if metric.kind == "histogram":
        return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
    kinds: dict[str, type[Counter | Gauge]] = {"counter": Counter, "gauge": Gauge}
    return kinds[metric.kind](metric.name, metric.help, metric.labels, registry=registry)
