"""The metric registry follows the Prometheus rules, and GPU metrics come from the driver at every scrape."""

import re

import pytest
from prometheus_client import generate_latest

from components.core.tracking.gpu import GpuCollector, Gpus
from components.core.tracking.registry import METRICS, Metric, Metrics
from tests.tracking.drivers import GIB, FakeDriver


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_the_rules(metric: Metric) -> None:
    assert re.fullmatch(r"thaw_[a-z]+(_[a-z]+)*", metric.name)
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert metric.kind != "histogram" or metric.name.endswith("_seconds")
    assert (metric.kind == "histogram") == bool(metric.buckets)
    assert not re.search(r"(_ms|milli|_mb|_gb|percent|_count|_sum|_bucket)", metric.name)
    assert not re.search(r"(run|uuid|sample)_?id", " ".join(metric.labels))
    assert metric.help.endswith(".")


def test_names_are_unique() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_every_series_is_exposed_under_its_name() -> None:
    metrics = Metrics()
    metrics.attach(GpuCollector(Gpus(FakeDriver())))  # type: ignore[arg-type]
    for metric in METRICS:
        labels = dict.fromkeys(metric.labels, "x")
        if metric.kind == "counter":
            metrics.add(metric.name, **labels)
        elif metric.kind == "histogram":
            metrics.observe(metric.name, 0.2, **labels)
        elif not metric.at_scrape:
            metrics.set(metric.name, 1.0, **labels)
    exposed = set(re.findall(r"^(thaw_\w+)", generate_latest(metrics.registry).decode(), re.MULTILINE))
    created = {name for name in exposed if name.endswith("_created")}
    assert exposed - created == frozenset[str]().union(*(metric.series() for metric in METRICS))


def test_the_wrong_verb_is_an_error() -> None:
    metrics = Metrics()
    with pytest.raises(TypeError, match="not a counter"):
        metrics.add("thaw_checkpoint_bytes")
    with pytest.raises(TypeError, match="not a gauge"):
        metrics.set("thaw_resumes_total", 1)
    with pytest.raises(TypeError, match="not a histogram"):
        metrics.observe("thaw_resumes_total", 1)
    with pytest.raises(KeyError):
        metrics.add("thaw_unknown_total")


def test_gpus_are_read_at_every_scrape() -> None:
    driver = FakeDriver()
    metrics = Metrics()
    metrics.attach(GpuCollector(Gpus(driver)))  # type: ignore[arg-type]
    assert metrics.value("thaw_gpu_memory_used_bytes", gpu="0") == 5 * GIB
    driver.used = 6 * GIB
    assert metrics.value("thaw_gpu_memory_used_bytes", gpu="0") == 6 * GIB
    assert metrics.value("thaw_gpu_memory_total_bytes", gpu="0") == 80 * GIB
    assert metrics.value("thaw_gpu_utilization_ratio", gpu="0") == 0.4
    assert metrics.value("thaw_gpu_memory_used_bytes", gpu="1") is None


def test_a_machine_without_the_driver_has_no_gpus() -> None:
    assert Gpus.open("libthere-is-no-such-library.so") is None


@pytest.mark.gpu
def test_the_real_driver_answers() -> None:
    gpus = Gpus.open()
    assert gpus is not None
    assert all(0 < reading.used <= reading.total for reading in gpus.read())
