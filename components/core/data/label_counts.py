"""Cases with several labels: what each shows, how many show it in which split, and what cannot be judged there."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isnan

from components.core.data.card import LabelCount
from components.core.data.splits import PARTS
from components.core.errors import BadInput

SURE = 0.5
"""A soft label of at least this is positive."""

ABSENT = "no "

Labels = Mapping[str, float]
"""Value in [0, 1] by the label's name; NaN where it is unknown."""


def signs(labels: Labels) -> list[str]:
    """What a case shows: "nodule" or "no nodule" for every label that is known of it."""
    return [name if value >= SURE else f"{ABSENT}{name}" for name, value in labels.items() if not isnan(value)]


def count_labels(labels: Sequence[Labels | None], parts: Sequence[str | None]) -> dict[str, dict[str, LabelCount]]:
    """Cases by label and split; empty where cases have no labels of this kind.

    Args:
        labels: Of every case.
        parts: Split of every case; None is not counted.
    """
    names = list(next((own for own in labels if own is not None), {}))
    counted = Counter(
        (name, part, _sign(own[name]))
        for own, part in zip(labels, parts, strict=True)
        if own is not None and part is not None
        for name in names
    )
    present = [part for part in PARTS if part in parts]
    return {
        name: {
            part: LabelCount(
                positive=counted[name, part, True],
                negative=counted[name, part, False],
                unknown=counted[name, part, None],
            )
            for part in present
        }
        for name in names
    }


def doubts_of_labels(counts: Mapping[str, Mapping[str, LabelCount]], where: str) -> list[str]:
    """What a reader of results must know of labels that are all alike in a split.

    Raises:
        BadInput: No label has both signs in train: nothing can be learned.
    """
    told = []
    by_part = {part: [] for own in counts.values() for part in own}  # type: dict[str, list[str]]
    for name, own in counts.items():
        for part, count in own.items():
            if not (count.positive and count.negative):
                only = "positive" if count.positive else "negative" if count.negative else "unknown"
                by_part[part].append(f"{name} ({only} only)")
    if by_part and len(by_part["train"]) == len(counts):
        raise BadInput(
            f"no label has both positive and negative cases in train: {', '.join(by_part['train'])}",
            where=where,
            remedy="give labels that differ between volumes, more patients, or none at all to pretrain only",
        )
    for part, names in by_part.items():
        if names:
            what = "cannot be learned" if part == "train" else "scores are undefined there"
            told.append(f"{part} shows one side only of {len(names)} label(s), {what}: {', '.join(names)}")
    return told


def _sign(value: float) -> bool | None:
    return None if isnan(value) else value >= SURE
