"""`classes.csv`: the true and the predicted class of every test case, as charts of confusion read them. No torch."""

import csv
import io
from collections.abc import Callable, Sequence

from components.core.report.report import Confusion
from components.evaluate.system import System
from components.recipes.contract import CasePrediction

Confuse = Callable[[Sequence[CasePrediction]], Confusion | None]
"""`RecipeTask.confusion`."""


def class_pairs(case: CasePrediction, confuse: Confuse) -> list[tuple[str, str]]:
    """(actual, predicted) of one case: one pair where classes exclude each other, none where nothing is classified."""
    found = confuse([case])
    if found is None:
        return []
    return [
        (actual, predicted)
        for actual, row in zip(found.labels, found.counts, strict=True)
        for predicted, count in zip(found.labels, row, strict=True)
        for _ in range(count)
    ]


def is_mistaken(case: CasePrediction, confuse: Confuse) -> bool:
    """Was it taken for a class that it does not belong to?"""
    return any(actual != predicted for actual, predicted in class_pairs(case, confuse))


def classes_csv(system: System, confuse: Confuse) -> str:
    """Columns `actual` and `predicted`, in the order of the cases; the heading alone where nothing is classified."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["actual", "predicted"])
    for case in system.cases:
        writer.writerows(class_pairs(case, confuse))
    return stream.getvalue()
