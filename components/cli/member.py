"""One member of a cross-validation: which fold, which seed, and what follows for a stage's values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.core.config import merge
from components.core.errors import BadInput

_FOLD = re.compile(r"(\d{1,4})/(\d{1,4})")
_SEED = re.compile(r"\d{1,18}")


@dataclass(frozen=True)
class Member:
    """A fold, a seed, or both.

    Attributes:
        seed: Training seed; None leaves the values'.
        fold: Number of the fold that is tested, from 0; None leaves the values' split.
        folds: Number of folds.
    """

    seed: int | None = None
    fold: int | None = None
    folds: int = 0

    @property
    def name(self) -> str:
        """`seed-1/fold-0`: its folder, and its prefix of a store, which has one writer at a time."""
        parts = {"seed": self.seed, "fold": self.fold}
        return "/".join(f"{kind}-{number}" for kind, number in parts.items() if number is not None)

    def over(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of all stages for this member; its checkpoints go below its own name."""
        changes: dict[str, Any] = {}
        if self.seed is not None:
            changes["seed"] = self.seed
        if self.fold is not None:
            changes["split"] = {"folds": self.folds, "fold": self.fold}
        store = ((values.get("runtime") or {}).get("checkpoints") or {}).get("store")
        if store is not None and changes:
            changes["runtime"] = {"checkpoints": {"store": f"{store.rstrip('/')}/{self.name}"}}
        return merge(values, changes)


def parse_member(seed: str, fold: str) -> Member:
    """A member as command lines spell it.

    Args:
        seed: A number; empty for the values' own.
        fold: `2/5` for the third of five; empty for the values' own split.

    Raises:
        BadInput: It is spelled otherwise, or the fold is none of them.
    """
    if seed and not _SEED.fullmatch(seed):
        raise BadInput(f"not a seed: {seed!r}", where="--seed", remedy="give a whole number from 0")
    found = _FOLD.fullmatch(fold)
    if fold and (found is None or int(found[1]) >= int(found[2])):
        raise BadInput(f"not a fold: {fold!r}", where="--fold", remedy="write 0/5 for the first of five, up to 4/5")
    number, folds = (int(found[1]), int(found[2])) if found else (None, 0)
    return Member(int(seed) if seed else None, number, folds)
