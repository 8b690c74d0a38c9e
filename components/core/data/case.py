"""What `prepare` needs of a recipe's data: cases, what they decode to, and the section that lists them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Shaped, UInt8

from components.core.data.card import VolumeFacts
from components.core.data.index import Attribute, Row
from components.core.data.splits import Split

Arrays: TypeAlias = Mapping[str, Shaped[np.ndarray, "..."]]

LABELS = "labels"
"""Array [l] float32 that `prepare` writes of a case's labels, in their order; NaN where one is unknown."""


@dataclass(frozen=True)
class Decoded:
    """A decoded case of which more is known than before.

    Attributes:
        arrays: By name.
        attributes: Columns of the index that only decoding tells.
        volume: What the card says of the volume that it was cut from.
    """

    arrays: Arrays
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    volume: VolumeFacts | None = None

    @classmethod
    def of(cls, loaded: "Arrays | Decoded") -> "Decoded":
        """What a case's `load` gave, in this form."""
        return loaded if isinstance(loaded, Decoded) else cls(loaded)


class Case(Protocol):
    """A case found in the raw folder (`components.recipes.contract.RawCase`)."""

    @property
    def id(self) -> str: ...
    @property
    def sources(self) -> tuple[Path, ...]: ...
    @property
    def stratum(self) -> str: ...
    @property
    def load(self) -> Callable[[], Arrays | Decoded]: ...
    @property
    def group(self) -> str | None: ...
    @property
    def attributes(self) -> Mapping[str, Attribute]: ...
    @property
    def near_duplicate_of(self) -> str: ...
    @property
    def labelled(self) -> bool: ...
    @property
    def labels(self) -> Mapping[str, float] | None: ...
    @property
    def resume_key(self) -> str | None: ...


class Source(Protocol):
    """A recipe's `data:` section (`components.recipes.contract.DataSource`)."""

    def read(self, raw: Path) -> Sequence[Case]:
        """List the cases."""

    def synthesize(self, folder: Path) -> "Source":
        """Write the embedded synthetic data set, and return the section that reads it."""


@runtime_checkable
class Choosy(Protocol):
    """A data source that cannot use every division."""

    def check(self, rows: Sequence[Row], split: Split) -> None:
        """Raise BadInput if the recipe could not train on or be judged by this division."""


@runtime_checkable
class Remarkable(Protocol):
    """A data source that knows what a reader of results must know of its cases."""

    def remarks(self, rows: Sequence[Row]) -> Sequence[str]:
        """Warnings for the card, of the rows of the index."""


@runtime_checkable
class Shown(Protocol):
    """A data source whose cases can be looked at on one sheet."""

    def sheet(self, cases: Sequence[tuple[str, Arrays]]) -> UInt8[np.ndarray, "h w 3"]:
        """One picture of some cases, given by id and arrays."""
