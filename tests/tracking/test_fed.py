"""What can be reported is reported: by the stages and the engine, not by tests alone."""

import ast
from pathlib import Path

import pytest

import components
from components.core.data.quarantine import Unreadable
from components.core.engine import saver as engine_saver
from components.core.engine.saver import Saver
from components.core.identity import Identity
from components.core.runtime import Runtime
from components.core.store.local import LocalStore
from components.core.store.retry import Retry
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from components.prepare import stage as preparing
from tests.data.test_prepare_stage import config

ROOT = Path(components.__file__).parent
LABELS = RunLabels("toy", "warmup")
REPORTS = {name for name, value in vars(Tracker).items() if callable(value) and not name.startswith("_")}


def called() -> set[str]:
    """Names of all methods that are called, or handed on to be called, outside of tracking."""
    files = [file for file in ROOT.rglob("*.py") if "tracking" not in file.parts]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    return {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_every_report_has_a_reporter() -> None:
    assert REPORTS - called() == set()


def test_what_the_store_repeated_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)
    store.retry = Retry()  # type: ignore[attr-defined]
    monkeypatch.setattr(engine_saver, "open_store", lambda _: store)
    runtime = Runtime(device="cpu", progress=False)
    with Tracker(runtime, LABELS) as tracker:
        with Saver(str(tmp_path), runtime, Identity("toy", "", {}, {}), tracker) as saver:
            store.retry.count += 2  # type: ignore[attr-defined]
            saver.save(1, {}, {"finished": False})
            assert tracker.metrics.value("thaw_retries_total", operation="store") == 2
            store.retry.count += 1  # type: ignore[attr-defined]
        assert tracker.metrics.value("thaw_retries_total", operation="store") == 3


def test_prepare_reports_what_it_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Tracker] = []

    class Kept(Tracker):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type]
            kept.append(self)

    values = config(quarantine={"max_fraction": 0.2}, runtime={"progress": False, "workers": 0})
    broken = "synthetic-0003"
    load = type(values.recipe.data)._load

    def some(self: object, found: object) -> object:
        if found.id == broken:  # type: ignore[attr-defined]
            raise Unreadable("made so", where=tmp_path)
        return load(self, found)  # type: ignore[arg-type]

    monkeypatch.setattr(type(values.recipe.data), "_load", some)
    monkeypatch.setattr(preparing, "Tracker", Kept)
    preparing.run(values, preparing.Inputs(), preparing.Outputs(tmp_path / "made"))
    (tracker,) = kept
    assert tracker.metrics.value("thaw_quarantined_samples") == 1
    assert tracker._final["quarantined"] == 1
    assert sum(value for name, value in tracker._final.items() if name.startswith("cases_")) == 11
