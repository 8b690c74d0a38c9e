"""Reports with everything in them, hostile names, and a browser to read them in."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from visits import QUIET

from components.core.metrics.summary import Estimate, by_label, summarise_scores
from components.core.report.reliability import reliability
from components.core.report.report import Confusion, Curve, Mistake, Previous, Report, SystemSummary, compare

HOSTILE = '<img src="http://example.invalid/x.png" onerror="document.title=1">&\'$x$'
NAN = float("nan")


@dataclass(frozen=True)
class Judged:
    id: str
    label: str
    scores: dict[str, float]
    pictures: dict[str, NDArray[np.uint8]] = field(default_factory=dict)


def lesion(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    generator = np.random.Generator(np.random.Philox(seed))
    x, y, radius = generator.uniform(25, 70), generator.uniform(25, 70), generator.uniform(8, 18)
    rows, columns = np.mgrid[:96, :96]
    mask = (columns - x) ** 2 / 1.6 + (rows - y) ** 2 < radius**2
    grey = np.where(mask, 70, 140) * generator.gamma(9, 1 / 9, (96, 96))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2), mask


def judged(index: int, shift: int) -> Judged:
    generator = np.random.Generator(np.random.Philox(1000 + index + shift))
    image, mask = lesion(index)
    overlay = image.copy()
    overlay[np.roll(mask, shift, axis=1)] = (230, 120, 40)
    empty = index % 6 == 5
    scores = {
        "nsd": NAN if empty else float(generator.random()),
        "lesion_dice": NAN if empty else float(generator.random()),
    }
    scores["false_positive_area"] = float(generator.random() / 10) if empty else NAN
    wide = np.repeat(np.repeat(image, 5, axis=0), 5, axis=1)
    name = f"{HOSTILE} {index}" if index == 3 else f"case {index}"
    return Judged(name, "benign" if index % 2 else "malignant", scores, {"image": wide, "prediction": overlay})


def curves() -> list[Curve]:
    phases = [("warmup", 5, 1.1), ("partial_unfreeze", 10, 0.9), ("end_to_end", 20, 0.7)]
    lines = []
    for phase, epochs, start in phases:
        x = list(range(1, epochs + 1))
        lines.append(Curve(phase, "loss", x, [start - 0.3 * (1 - 0.9**epoch) for epoch in x]))
        lines.append(Curve(phase, "val lesion_dice", x, [1 - start + 0.3 * (1 - 0.9**epoch) for epoch in x]))
    return lines


@pytest.fixture(scope="session")
def report() -> Report:
    cases = [judged(index, 4) for index in range(12)]
    rows = [case.scores for case in cases]
    groups = [f"patient {index // 2}" for index in range(12)]
    before = {
        case.id: {**case.scores, "nsd": case.scores["nsd"] / 2, "lesion_dice": (case.scores["lesion_dice"] + 1) / 2}
        for case in cases
    }  # one metric clearly better now, one clearly worse, one as it was
    systems = [("untrained", "untrained", 30), ("warmup", "phases", 12), ("end_to_end", "phases", 4)]
    table = [
        SystemSummary(name, summarise_scores([judged(i, shift).scores for i in range(12)], groups), kind)
        for name, kind, shift in systems
    ]
    table.append(SystemSummary("Otsu", summarise_scores(rows[:1]), "baselines", "one case only"))
    return Report(
        title="freqmedclip, size demo: evaluation",
        facts={"recipe": "freqmedclip", "size": "demo", "data": "sha256 4f1c09", "remark": HOSTILE},
        headline="lesion_dice",
        systems=table,
        curves=curves(),
        cases=cases,
        by_label=by_label(rows, [case.label for case in cases], groups),
        confusion=Confusion(["benign", "malignant"], [[9, 1], [2, 6]]),
        previous=Previous("run 41", compare({case.id: case.scores for case in cases}, before)),
        synthetic=True,
        warnings=["Groups inferred, leakage between patients not excluded."],
        lower_is_better=frozenset({"false_positive_area"}),
        max_panels=8,
    )


def tall(seed: int) -> NDArray[np.uint8]:
    """A picture with something written below it: higher than wide."""
    return np.random.Generator(np.random.Philox(seed)).integers(0, 256, (90, 60, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def classifier() -> Report:
    """Three classes, one of them with a hostile name, one without mistakes, one never predicted."""
    names = ["healthy", HOSTILE, "scab"]
    truth = np.arange(12) % 3
    taken = np.asarray([0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 0])
    sure = np.linspace(0.4, 0.95, 12)
    probability = np.repeat((1 - sure)[:, None] / 2, 3, axis=1)
    probability[np.arange(12), taken] = sure
    cases = [
        Judged(
            f"leaf {n}",
            names[truth[n]],
            {"accuracy": float(truth[n] == taken[n]), "probability_of_truth": float(probability[n, truth[n]])},
            {"prediction": tall(n), "relevance": tall(100 + n)} if truth[n] != taken[n] and n != 11 else {},
        )
        for n in range(12)
    ]
    worst = sorted((n for n in range(12) if truth[n] != taken[n]), key=lambda n: probability[n, truth[n]])
    counts = [[int(((truth == a) & (taken == b)).sum()) for b in range(3)] for a in range(3)]
    known = Estimate(12, 0, 0.5, None, 0.25, 0.75, lost_draws=7)
    unknown = Estimate(0, 12, None, None, None, None)
    by_class = {name: {"precision": known, "recall": known} for name in names[:2]}
    by_class["scab"] = {"precision": unknown, "recall": known}
    flat = {f"{measure}:{name}": one for name, row in by_class.items() for measure, one in row.items()}
    return Report(
        title="hvit, size demo: evaluation",
        facts={"recipe": "hvit"},
        headline="f1_macro",
        ranking="probability_of_truth",
        systems=[SystemSummary("end_to_end", {"f1_macro": known, "ece": known, **flat}, "phases")],
        cases=cases,
        by_class=by_class,
        confusion=Confusion(names, counts),
        mistakes={
            name: [Mistake(f"leaf {n}", names[taken[n]]) for n in worst if truth[n] == number]
            for number, name in enumerate(names)
        },
        reliability=reliability({"truth": truth.astype(np.float64), "probability": probability}),
        lower_is_better=frozenset({"ece"}),
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium; tests that ask for it are skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield opened
        opened.close()
