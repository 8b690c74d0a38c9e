"""Each alert fires when it should and is silent when it should be: promtool's own unit tests, in `alerts/`."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from pipelines.monitoring.alerts import alerts
from pipelines.monitoring.expression import Clock
from pipelines.monitoring.rules import rules_file
from tests.monitoring.stack import MISSING

FOLDER = Path(__file__).parent / "alerts"
RULES = Path(__file__).parents[2] / "manifests/base/monitoring/rules.yaml"
CASES = sorted(file.name for file in FOLDER.glob("*.yaml"))

needs_promtool = pytest.mark.skipif("promtool" in MISSING, reason="promtool is not installed")


def promtool(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=60, check=False)


def test_every_alert_is_seen_firing_and_silent() -> None:
    firing, silent = set(), set()
    for name in CASES:
        for case in yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))["tests"]:
            for check in case["alert_rule_test"]:
                (firing if check.get("exp_alerts") else silent).add(check["alertname"])
    assert firing == silent == {alert.name for alert in alerts(Clock())}


@pytest.mark.services
@needs_promtool
@pytest.mark.parametrize("scale", [1, 1 / 120])
def test_promtool_reads_the_rules(tmp_path: Path, scale: float) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(rules_file(Clock(scale)))
    done = promtool("check", "rules", str(file))
    assert done.returncode == 0, done.stderr
    assert f"{len(alerts(Clock()))} rules found" in done.stdout


@pytest.mark.services
@needs_promtool
@pytest.mark.parametrize("name", CASES)
def test_alerts_fire_and_are_silent(name: str) -> None:
    done = promtool("test", "rules", str(FOLDER / name))
    assert done.returncode == 0, done.stdout + done.stderr


BROKEN = [
    ("ThawStageStalled", r"> 600 and", "> 6000 and"),
    ("ThawStageStalled", r"topk by \(job, instance, namespace, pod\) \(1, (.*?\]\))\)", r"\1"),
    ("ThawStageStalled", r"last_over_time\((\w+)\[\w+\]\)", r"\1"),
    ("ThawStageStalled", r" and on \([^)]*\) up", ""),
    ("ThawCheckpointOld", "> 1800", "> 18000"),
    ("ThawCheckpointOld", r" or thaw_phase_start_timestamp_seconds", ""),
    ("ThawCheckpointOld", r"(rate\(thaw_steps_total\[10m\]\)\)) > 0", r"\1 >= 0"),
    ("ThawResumedRepeatedly", ">= 3", ">= 4"),
    ("ThawResumedRepeatedly", r"changes\(", "0 * changes("),
    ("ThawResumedRepeatedly", r"time\(\) - 7200", "time() - 720000"),
    ("ThawThroughputDropped", r"< 0.5 \*", "< 0.1 *"),
    ("ThawThroughputDropped", r"(rate\(thaw_samples_total\[10m\]\)) / rate\(thaw_step_seconds_sum\[10m\]\)", r"\1"),
    ("ThawGpuIdle", "< 0.1", "< 0.01"),
    ("ThawGpuIdle", r" and on \([^)]*\) thaw_phase_start_timestamp_seconds", ""),
    ("ThawGpuIdle", r"avg_over_time\((\w+)\[15m\]\)", r"\1"),
    ("ThawLossNotFinite", "> 0$", "> 1"),
    ("ThawLossNotFinite", "> 0$", ">= 0"),
    ("ThawLossNotFinite", "86400", "864000"),
    ("ThawStageFailed", "!= 75", "!= 76"),
    ("ThawStageFailed", "86400", "864000"),
    ("ThawStageNotTakenUp", r" unless .*", ""),
    ("ThawStageNotTakenUp", "3600", "36000"),
    ("ThawStageNotTakenUp", "86400", "864000"),
]
"""Alert, part of its expression, and what breaks it."""


@pytest.mark.services
@needs_promtool
@pytest.mark.parametrize(("alert", "part", "other"), BROKEN)
def test_a_broken_rule_is_noticed(tmp_path: Path, alert: str, part: str, other: str) -> None:
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    (rule,) = [one for one in rules["groups"][0]["rules"] if one["alert"] == alert]
    broken, times = re.subn(part, other, rule["expr"])
    assert times, rule["expr"]
    rule["expr"] = broken
    rules["groups"][0]["rules"] = [rule]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    assert promtool("check", "rules", str(tmp_path / "rules.yaml")).returncode == 0, broken
    results = []
    for name in CASES:
        text = (FOLDER / name).read_text(encoding="utf-8")
        if f"alertname: {alert}\n" in text:
            (tmp_path / name).write_text(re.sub("^rule_files: .*", "rule_files: [rules.yaml]", text))
            results.append(promtool("test", "rules", str(tmp_path / name)))
    assert any("FAILED" in done.stdout + done.stderr for done in results), results
