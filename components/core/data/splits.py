"""Splits: grouped, stratified, made once, and a function of nothing but the cases and the split seed."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field, model_validator

from components.core.config import Values
from components.core.errors import BadInput

PARTS = ("train", "val", "test", "calibration")
"""What labelled cases are divided into."""

UNLABELLED = "unlabelled"
"""The part of the cases without label: only `pretrain` looks at them, and no ratio counts them."""

SPLITS = (*PARTS, UNLABELLED)
TOLERANCE = 1e-6


class Ratios(Values):
    """Fractions of the cases, which sum to 1. A part of 0 does not exist."""

    train: float = Field(default=0.70, gt=0, le=1)
    val: float = Field(default=0.15, ge=0, lt=1)
    test: float = Field(default=0.15, ge=0, lt=1)
    calibration: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _sum_to_one(self) -> "Ratios":
        total = self.train + self.val + self.test + self.calibration
        if abs(total - 1) > TOLERANCE:
            raise ValueError(f"the ratios sum to {total:g}, not to 1")
        return self


class Split(Values):
    """How cases are divided. Its seed is apart from the training seed.

    Attributes:
        seed: Seed of the division.
        ratios: Parts of a single division; with folds only whether `calibration` is above 0 matters.
        folds: Number k of folds instead of ratios: fold i is test, fold i+1 val, fold i+2 calibration if there
            is one, the rest train. Over i = 0..k-1 every case is tested exactly once.
        fold: i, the fold to test.
        every_stratum: Every split of a single division holds every stratum that has groups enough, at the price of
            sizes. Classifiers need it: scores by class are undefined where a class is absent. Cases with several
            labels are always divided so.
    """

    seed: int = Field(default=0, ge=0)
    ratios: Ratios = Ratios()
    folds: int | None = Field(default=None, ge=3, le=100)
    fold: int = Field(default=0, ge=0)
    every_stratum: bool = False

    @model_validator(mode="after")
    def _fold_exists(self) -> "Split":
        if self.folds is None and self.fold != 0:
            raise ValueError("fold is for a division into folds: set folds too")
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold = {self.fold} does not exist, there are {self.folds} (counted from 0)")
        if self.folds == 3 and self.ratios.calibration > 0:
            raise ValueError("test, val and calibration leave nothing to train on: 4 or more folds are needed")
        return self


@dataclass(frozen=True)
class _Cases:
    """The cases by group.

    Attributes:
        names: Groups in the order they are placed.
        strata: Strata, sorted.
        counts: Cases of every group by stratum; the last column counts them all.
        part_of: Row of `names` for every case.
    """

    names: list[str]
    strata: list[str]
    counts: Int[np.ndarray, "g c"]
    part_of: list[int]


def assign(groups: Sequence[str], strata: Sequence[str], split: Split) -> list[str]:
    """Divide cases so that no group crosses a split and every split holds the strata in proportion.

    Groups are placed one by one, the largest first, where they lessen most the chi-square distance between the
    counts and their targets; empty splits and a stratum that train lacks are then mended by moving single groups.

    Args:
        groups: Group of every case.
        strata: Stratum of every case.
        split: What to make.

    Returns:
        Name of the split of every case. It does not depend on the order of the cases.

    Raises:
        BadInput: There are fewer groups than splits or folds, or train would lack a stratum.
    """
    cases = _tabulate(groups, [{stratum} for stratum in strata], split.seed)
    parts = _divide(cases, split, spread=split.every_stratum)
    _check_train(cases, parts)
    return [parts[row] for row in cases.part_of]


def assign_labels(groups: Sequence[str], signs: Sequence[Collection[str]], split: Split) -> list[str]:
    """Divide cases that each have several labels, so that every split holds every sign of every label in proportion.

    Like `assign`, but groups with the rarest signs are placed first, while there is still a choice (iterative
    stratification: Sechidis, Tsoumakas, Vlahavas 2011), and a sign that a split lacks is brought there if groups that
    have it are enough. One that no group has to spare stays absent: whoever uses the split has to look.

    Args:
        groups: Group of every case.
        signs: What every case shows: "nodule", "no effusion", and nothing of labels that are unknown.
        split: What to make.

    Raises:
        BadInput: There are fewer groups than splits or folds.
    """
    cases = _tabulate(groups, signs, split.seed, rarest_first=True)
    parts = _divide(cases, split, spread=True)
    return [parts[row] for row in cases.part_of]


def _divide(cases: _Cases, split: Split, *, spread: bool) -> list[str]:
    """Split of every group."""
    if split.folds is None:
        names = [name for name in PARTS if getattr(split.ratios, name) > 0]
        shares = np.array([getattr(split.ratios, name) for name in names])
        bins = _mend_train(cases, _place(cases, shares, "splits"), shares)
        bins = _spread(cases, bins, len(names)) if spread else bins
    else:
        names = _fold_names(split, split.folds)
        bins = _place(cases, np.full(split.folds, 1 / split.folds), "folds")
    return [names[part] for part in bins]


def _fold_names(split: Split, folds: int) -> list[str]:
    """The split that every fold becomes."""
    names = ["train"] * folds
    names[split.fold] = "test"
    names[(split.fold + 1) % folds] = "val"
    if split.ratios.calibration > 0:
        names[(split.fold + 2) % folds] = "calibration"
    return names


def _tabulate(
    groups: Sequence[str], strata: Sequence[Collection[str]], seed: int, *, rarest_first: bool = False
) -> _Cases:
    """Count the strata of every group: large groups first, or those with the rarest strata; equal ones by the seed."""
    columns = sorted({name for own in strata for name in own})
    column = {name: index for index, name in enumerate(columns)}
    counted: dict[str, Int[np.ndarray, " c"]] = {}
    for group, own in zip(groups, strata, strict=True):
        row = counted.setdefault(group, np.zeros(len(columns) + 1, dtype=np.int64))
        row[[*(column[name] for name in own), -1]] += 1
    total = np.sum(list(counted.values()), axis=0)

    def place(name: str) -> tuple[int, int, bytes]:
        row = counted[name]
        rarity = int(total[row > 0].min()) if rarest_first else 0
        return rarity, -int(row[-1]), _draw(seed, name)

    names = sorted(counted, key=place)
    order = {name: index for index, name in enumerate(names)}
    return _Cases(names, columns, np.stack([counted[name] for name in names]), [order[group] for group in groups])


def _draw(seed: int, name: str) -> bytes:
    """A group's lot: depends on no other group, so that new cases move the old ones little."""
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()


def _place(cases: _Cases, shares: Float[np.ndarray, " s"], kind: str) -> list[int]:
    """Bin of every group; no bin is empty."""
    if len(cases.names) < len(shares):
        raise BadInput(
            f"{len(cases.names)} groups cannot fill {len(shares)} {kind}: a group never crosses a split",
            where=", ".join(cases.names[:5]),
            remedy="give more groups (patients), or ask for fewer splits or folds",
        )
    targets = shares[:, None] * cases.counts.sum(axis=0)
    held = np.zeros_like(targets)
    bins: list[int] = []
    for row in cases.counts:
        bins.append(int(_cost(held, row, targets).argmin()))
        held[bins[-1]] += row
    for empty in [part for part in range(len(shares)) if part not in bins]:
        _fill(cases, bins, empty, targets)
    return bins


def _cost(
    held: Float[np.ndarray, "s c"], group: Int[np.ndarray, " c"], targets: Float[np.ndarray, "s c"]
) -> Float[np.ndarray, " s"]:
    """Change of the chi-square distance sum (held - target)^2 / target if the group is put into each bin."""
    change: Float[np.ndarray, " s"] = ((2 * (held - targets) + group) * group / targets).sum(axis=1)
    return change


def _fill(cases: _Cases, bins: list[int], empty: int, targets: Float[np.ndarray, "s c"]) -> None:
    """Move the smallest group of a bin that has several into an empty one."""
    sizes = [bins.count(part) for part in range(len(targets))]
    movable = [row for row, part in enumerate(bins) if sizes[part] > 1]
    # A stratum's last group in its bin is moved only if there is no other: it may be train's only one.
    alone = {row for row in movable if _is_last(cases, bins, row)}
    chosen = min(movable, key=lambda row: (row in alone, int(cases.counts[row, -1]), -sizes[bins[row]], row))
    bins[chosen] = empty


def _is_last(cases: _Cases, bins: list[int], row: int) -> bool:
    others = [other for other, part in enumerate(bins) if part == bins[row] and other != row]
    return bool(((cases.counts[row] > 0) & (cases.counts[others].sum(axis=0) == 0)).any())


def _mend_train(cases: _Cases, bins: list[int], shares: Float[np.ndarray, " s"]) -> list[int]:
    """Move a group of every stratum that train (bin 0) lacks from a bin that has others."""
    for column in range(len(cases.strata)):
        if any(part == 0 and cases.counts[row, column] for row, part in enumerate(bins)):
            continue
        sizes = [bins.count(part) for part in range(len(shares))]
        movable = [row for row, part in enumerate(bins) if cases.counts[row, column] and sizes[part] > 1]
        if movable:
            bins[min(movable, key=lambda row: (int(cases.counts[row, -1]), row))] = 0
    return bins


def _spread(cases: _Cases, bins: list[int], parts: int) -> list[int]:
    """Move groups so that strata of few groups reach every split: scores by class need each class in each split.

    Taken is the smallest group of the split that has most of the stratum, and only one that leaves every stratum it
    holds in the split it comes from.
    """
    present = cases.counts[:, :-1] > 0
    for column in np.argsort(present.sum(axis=0), kind="stable").tolist():
        for part in range(parts):
            held = np.stack([present[np.array(bins) == other].sum(axis=0) for other in range(parts)])
            if held[part, column]:
                continue
            spare = [
                row for row, own in enumerate(bins) if present[row, column] and (held[own][present[row]] > 1).all()
            ]
            if spare:
                chosen = min(spare, key=lambda row: (-int(held[bins[row], column]), int(cases.counts[row, -1]), row))
                bins[chosen] = part
    return bins


def _check_train(cases: _Cases, parts: Sequence[str]) -> None:
    train = [row for row, part in enumerate(parts) if part == "train"]
    present = cases.counts[train].sum(axis=0) > 0
    absent = [name for name, there in zip(cases.strata, present[:-1].tolist(), strict=True) if not there]
    if absent:
        raise BadInput(
            f"train would hold no case of {', '.join(map(repr, absent))}",
            where=f"{len(cases.names)} groups, {len(cases.strata)} strata",
            remedy="give more groups of it, merge it with another stratum, or use fewer folds or another split.seed",
        )
