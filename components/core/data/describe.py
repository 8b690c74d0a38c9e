"""Writing a dataset's card from what was seen while preparing it."""

import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from components.core.data.card import (
    EVERY_LABEL,
    INFERRED,
    SCHEMA_VERSION,
    STRATA,
    Card,
    Extent,
    Groups,
    LabelCount,
    Sources,
    Spread,
    Volume,
)
from components.core.data.case import Arrays, Remarkable
from components.core.data.index import Row
from components.core.data.label_counts import doubts_of_labels
from components.core.data.likeness import clusters_of, doubts
from components.core.data.quarantine import Quarantined
from components.core.data.shards import ShardEntry
from components.core.data.splits import SPLITS, UNLABELLED, Split
from components.core.digest import digest_path, digest_values

NOTICES = ("SOURCE", "LICENSE", "LICENCE", "COPYING", "CITATION", "ATTRIBUTION", "README")
ONLY_UNLABELLED = "no case is labelled: only pretrain can use this dataset"
SYNTHETIC = "SYNTHETIC"
"""First word of SOURCE.txt in a raw folder whose pictures a program made."""


@runtime_checkable
class Labelled(Protocol):
    """A data source that can say what its label values mean."""

    def label_names(self, strata: Sequence[str]) -> Mapping[str, str]:
        """Meaning by label value or column.

        Args:
            strata: Those of the labelled cases, in alphabetical order: the classes of a classifier.
        """


class Facts:
    """What was seen of the cases so far: sizes and types of arrays, files, volumes, how groups are known."""

    def __init__(self) -> None:
        self._extents: dict[str, Extent] = {}
        self._files: set[Path] = set()
        self._inferred: list[bool] = []
        self._volumes: list[Volume] = []

    def add(self, arrays: Arrays, sources: Collection[Path], *, inferred: bool, volume: Volume | None = None) -> None:
        """Note one case: its arrays, its files, whether its group is to be inferred, and the volume it was cut from.

        Raises:
            ValueError: An array has another type or number of dimensions than in the cases before.
        """
        self._files.update(sources)
        self._inferred.append(inferred)
        self._volumes += [volume] if volume else []
        for name, array in arrays.items():
            shape, dtype = list(array.shape), str(array.dtype)
            known = self._extents.setdefault(name, Extent(dtype=dtype, smallest=shape, largest=shape))
            if known.dtype != dtype or len(known.smallest) != len(shape):
                raise ValueError(f"array {name!r} is {dtype} {shape} here and {known} in other cases")
            low = [min(pair) for pair in zip(known.smallest, shape, strict=True)]
            high = [max(pair) for pair in zip(known.largest, shape, strict=True)]
            self._extents[name] = Extent(dtype=dtype, smallest=low, largest=high)

    @property
    def extents(self) -> dict[str, Extent]:
        """Sizes by array name."""
        return dict(sorted(self._extents.items()))

    @property
    def files(self) -> int:
        """Number of distinct files."""
        return len(self._files)

    def volumes(self, rows: Sequence[Row]) -> list[Volume]:
        """The volumes behind some rows."""
        wanted = {row.id for row in rows}
        return [volume for volume in self._volumes if volume.id in wanted]

    @property
    def groups(self) -> str:
        """How groups are known: given, inferred or mixed."""
        return "inferred" if all(self._inferred) else "mixed" if any(self._inferred) else "given"


@dataclass(frozen=True)
class Divided:
    """The rows of a dataset, and how they came to be those.

    Attributes:
        rows: What the index holds.
        leaders: By id of every row the smallest id among its near-duplicates; None where nobody looked for them.
        left_out: Unlabelled cases that show what is held out.
        unwanted: Files that are none of the cases.
        label_counts: Cases by label and split; empty where cases do not have several labels.
    """

    rows: Sequence[Row]
    leaders: Mapping[str, str] | None
    left_out: Sequence[Quarantined]
    unwanted: Sequence[Quarantined]
    label_counts: Mapping[str, Mapping[str, LabelCount]]


def describe(
    *,
    source: object,
    raw: Path,
    recipe: str,
    split: Split,
    divided: Divided,
    facts: Facts,
    quarantine: list[Quarantined],
    shards: list[ShardEntry],
    index_sha256: str,
) -> Card:
    """The card of a dataset.

    Raises:
        BadInput: No label can be learned.
    """
    rows = divided.rows
    strata = sorted({row.stratum for row in rows if row.split != UNLABELLED})
    return Card(
        schema_version=SCHEMA_VERSION,
        recipe=recipe,
        synthetic=is_synthetic(raw),
        settings={"data": settings_of(source), "split": split.model_dump(mode="json")},
        label_names=_label_names(source, divided, strata),
        counts=_counts(rows),
        label_counts={name: dict(own) for name, own in divided.label_counts.items()},
        divided_by=EVERY_LABEL if divided.label_counts else STRATA,
        groups=_groups(divided, facts.groups),
        arrays=facts.extents,
        attributes=_spreads(rows),
        volumes=facts.volumes(rows),
        quarantine=quarantine,
        left_out=[*divided.left_out, *divided.unwanted],
        warnings=_warnings(source, divided, facts.groups, raw),
        sources=Sources(files=facts.files, sha256=_source_digest(rows), notices=_notices(raw)),
        index_sha256=index_sha256,
        shards=shards,
    )


def is_synthetic(raw: Path) -> bool:
    """Does SOURCE.txt of a raw folder begin with the word SYNTHETIC?"""
    notice = raw / "SOURCE.txt"
    if not notice.is_file():
        return False
    with notice.open("rb") as stream:
        return stream.read(len(SYNTHETIC)) == SYNTHETIC.encode()


def settings_of(source: object) -> dict[str, Any]:
    """A `data:` section as plain values."""
    return source.model_dump(mode="json") if isinstance(source, BaseModel) else {}


def _label_names(source: object, divided: Divided, strata: Sequence[str]) -> dict[str, str]:
    if divided.label_counts:
        return {str(number): name for number, name in enumerate(divided.label_counts)}
    return dict(source.label_names(strata)) if isinstance(source, Labelled) else {}


def _counts(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    counted = Counter((row.split, row.stratum) for row in rows)
    strata = {
        name: sorted({row.stratum for row in rows if (row.split == UNLABELLED) == (name == UNLABELLED)})
        for name in SPLITS
    }
    present = [name for name in SPLITS if any(row.split == name for row in rows)]
    return {name: {stratum: counted[name, stratum] for stratum in strata[name]} for name in present}


def _groups(divided: Divided, found: str) -> Groups:
    rows, leaders = divided.rows, divided.leaders
    members = {name: {row.group for row in rows if row.split == name} for name in SPLITS}
    by_split = {name: len(groups) for name, groups in members.items() if groups}
    return Groups(
        found=found,
        count=len({row.group for row in rows}),
        by_split=by_split,
        clusters=None if leaders is None else clusters_of(rows, leaders),
    )


def _warnings(source: object, divided: Divided, found: str, raw: Path) -> list[str]:
    """What a reader of results must know."""
    told = list(source.remarks(divided.rows)) if isinstance(source, Remarkable) else []
    told += [INFERRED] if found != "given" else []
    if divided.leaders is not None:
        told += doubts(divided.rows, divided.leaders)
    told += doubts_of_labels(divided.label_counts, where=str(raw))
    if divided.left_out:
        told.append(f"{len(divided.left_out)} unlabelled case(s) left out: of one source with what is held out")
    if divided.unwanted:
        told.append(f"{len(divided.unwanted)} file(s) left out, because what they hold is none of the cases")
    if all(row.split == UNLABELLED for row in divided.rows):
        told.append(ONLY_UNLABELLED)
    return told


def _spreads(rows: Sequence[Row]) -> dict[str, Spread]:
    values: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.attributes.items():
            if not isinstance(value, str):
                values.setdefault(name, []).append(float(value))
    return {
        name: Spread(lowest=min(numbers), median=statistics.median(numbers), highest=max(numbers))
        for name, numbers in sorted(values.items())
    }


def _source_digest(rows: Sequence[Row]) -> str:
    return digest_values([[row.id, row.source_sha256] for row in rows])


def _notices(raw: Path) -> dict[str, str]:
    if not raw.is_dir():
        return {}
    files = sorted(file for file in raw.iterdir() if file.is_file() and file.name.upper().startswith(NOTICES))
    return {file.name: digest_path(file) for file in files}
