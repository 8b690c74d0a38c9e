"""A report with everything in it, and hostile names."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from components.core.metrics.summary import by_label, summarise_scores
from components.core.report.report import Confusion, Curve, Previous, Report, SystemSummary, compare

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
