"""From raw files to a prepared dataset: decode, set aside, group, split, write. Knows no recipe."""

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

from components.core.data.card import write_card
from components.core.data.describe import Divided, Facts, describe
from components.core.data.division import Division, Member, divide
from components.core.data.fingerprints import Fingerprint, fingerprint
from components.core.data.index import INDEX, Attribute, Row, write_index
from components.core.data.progress import Progress
from components.core.data.quarantine import Quarantine, Quarantined, QuarantineLimits, Unreadable, name_of
from components.core.data.shards import ShardWriter
from components.core.data.splits import Split
from components.core.digest import digest_path, digest_values
from components.core.errors import BadInput

SYNTHETIC_RAW = ".synthetic"
"""Where synthetic raw files lie, inside the unfinished dataset, while they are read."""

SHOWS_HELD_OUT = "unlabelled, and of one source with a picture of val, test or calibration"


class Case(Protocol):
    """What `prepare` needs of a case found in the raw folder (`components.recipes.contract.RawCase`)."""

    @property
    def id(self) -> str: ...
    @property
    def sources(self) -> tuple[Path, ...]: ...
    @property
    def stratum(self) -> str: ...
    @property
    def load(self) -> Callable[[], Mapping[str, Shaped[np.ndarray, "..."]]]: ...
    @property
    def group(self) -> str | None: ...
    @property
    def attributes(self) -> Mapping[str, Attribute]: ...
    @property
    def near_duplicate_of(self) -> str: ...
    @property
    def labelled(self) -> bool: ...


class Source(Protocol):
    """What `prepare` needs of a recipe's `data:` section (`components.recipes.contract.DataSource`)."""

    def read(self, raw: Path) -> Sequence[Case]:
        """List the cases."""

    def synthesize(self, folder: Path) -> "Source":
        """Write the embedded synthetic data set, and return the section that reads it."""


@runtime_checkable
class Choosy(Protocol):
    """A data source that cannot use every division."""

    def check(self, rows: Sequence[Row], split: Split) -> None:
        """Raise BadInput if the recipe could not train on or be judged by this division."""


@dataclass(frozen=True)
class _Decoded:
    case: Case
    arrays: Mapping[str, Shaped[np.ndarray, "..."]]
    source_sha256: str
    print: Fingerprint | None


def prepare(
    source: Source,
    raw: Path | None,
    split: Split,
    quarantine: QuarantineLimits,
    folder: Path,
    *,
    recipe: str = "",
    workers: int = 2,
    progress: bool = False,
) -> None:
    """Make a prepared dataset: shards, index and card.

    Args:
        source: The recipe's `data:` section.
        raw: Folder of raw files; None synthesizes them.
        split: How to divide the cases.
        quarantine: How much may be unreadable.
        folder: Where to write; must not exist or be empty. Nothing is left there after an error.
        recipe: Name for the card.
        workers: Threads that decode; 0 decodes in this one.
        progress: Show a bar if there is a terminal.

    Raises:
        BadInput: Faults of structure, too many unreadable files, or cases that cannot be split.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BadInput("the dataset's folder is not empty", where=str(folder), remedy="name another, or empty it")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if raw is None:
            source = source.synthesize(folder / SYNTHETIC_RAW)
        _write(source, raw or folder / SYNTHETIC_RAW, split, quarantine, folder, recipe, workers, progress)
    except BaseException:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder / SYNTHETIC_RAW, ignore_errors=True)


def _write(
    source: Source,
    raw: Path,
    split: Split,
    limits: QuarantineLimits,
    folder: Path,
    recipe: str,
    workers: int,
    progress: bool,
) -> None:
    cases = _listed(source, raw)
    quarantine, writer, facts = Quarantine(limits, raw), ShardWriter(folder), Facts()
    kept: list[_Kept] = []
    with Progress("prepare", len(cases), shown=progress) as bar:
        for case, outcome in _decode_all(cases, workers):
            bar.advance()
            if isinstance(outcome, Unreadable):
                quarantine.add(case.id, outcome)
                continue
            facts.add(outcome.arrays, case.sources, inferred=case.group is None)
            shard = writer.add(case.id, outcome.arrays)
            kept.append(_Kept(case, shard, outcome.source_sha256, outcome.print, _native_size(outcome.arrays)))
    quarantine.check(len(cases))
    shards = writer.close()
    division = divide([item.member for item in kept], split)
    rows = _rows(kept, division)
    if isinstance(source, Choosy):
        source.check(rows, split)
    write_index(folder, rows)
    card = describe(
        source=source,
        raw=raw,
        recipe=recipe,
        split=split,
        divided=Divided(rows, _leaders(kept, division), _left_out(kept, division, raw)),
        facts=facts,
        quarantine=quarantine.entries,
        shards=shards,
        index_sha256=digest_path(folder / INDEX),
    )
    write_card(folder, card)


@dataclass(frozen=True)
class _Kept:
    case: Case
    shard: str
    source_sha256: str
    print: Fingerprint | None
    size: Mapping[str, Attribute]

    @property
    def member(self) -> Member:
        case = self.case
        return Member(case.id, case.group, case.stratum, case.labelled, self.print)


def _listed(source: Source, raw: Path) -> list[Case]:
    """The cases by id: no result depends on the order files were found in."""
    cases = sorted(source.read(raw), key=lambda case: case.id)
    if not cases:
        raise BadInput("no cases were found", where=str(raw), remedy="check the folder and data.layout")
    for before, after in pairwise(cases):
        if before.id == after.id:
            raise BadInput(
                f"two cases have the id {after.id!r}",
                where=", ".join(str(path) for path in (*before.sources[:1], *after.sources[:1])),
                remedy="rename one of the files, or give unique ids",
            )
    return cases


def _decode_all(cases: Sequence[Case], workers: int) -> Iterator[tuple[Case, _Decoded | Unreadable]]:
    """Decode in order, a few cases ahead; the first fault of structure (by id) is raised."""
    # The slices of one volume share its file. Fingerprints are needed as soon as one group is to be inferred.
    decode = partial(_decode, cache(digest_path), any(case.group is None for case in cases))
    if workers == 0:
        for case in cases:
            yield case, decode(case)
        return
    waiting: deque[tuple[Case, Future[_Decoded | Unreadable]]] = deque()
    with ThreadPoolExecutor(max_workers=min(workers, os.cpu_count() or 1)) as pool:
        try:
            for case in cases:
                waiting.append((case, pool.submit(decode, case)))
                if len(waiting) > 2 * workers:
                    done, future = waiting.popleft()
                    yield done, future.result()
            for done, future in waiting:
                yield done, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _decode(digest: Callable[[Path], str], printed: bool, case: Case) -> _Decoded | Unreadable:
    try:
        arrays = case.load()
        sources = digest_values([digest(path) for path in case.sources])
    except Unreadable as error:
        return error
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            return Unreadable(f"gives NaN or infinite values in {name!r}", where=case.sources[0])
    own = fingerprint(arrays[case.near_duplicate_of]) if printed else None
    return _Decoded(case, arrays, sources, own)


def _native_size(arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> Mapping[str, Attribute]:
    """Columns `height` and `width` of cases that hold a picture [h, w, 3]."""
    image = arrays.get("image")
    if image is None or image.ndim != 3 or image.shape[2] != 3:
        return {}
    return {"height": image.shape[0], "width": image.shape[1]}


def _rows(kept: Sequence[_Kept], division: Division) -> list[Row]:
    return [
        Row(
            id=item.case.id,
            group=group,
            stratum=item.case.stratum,
            split=part,
            shard=item.shard,
            source_sha256=item.source_sha256,
            attributes={**item.size, **item.case.attributes},
        )
        for item, group, part in zip(kept, division.groups, division.parts, strict=True)
        if part is not None
    ]


def _leaders(kept: Sequence[_Kept], division: Division) -> dict[str, str] | None:
    if division.leaders is None:
        return None
    return dict(zip((item.case.id for item in kept), division.leaders, strict=True))


def _left_out(kept: Sequence[_Kept], division: Division, raw: Path) -> list[Quarantined]:
    return [
        Quarantined(id=item.case.id, file=name_of(item.case.sources[0], raw), reason=SHOWS_HELD_OUT)
        for item, part in zip(kept, division.parts, strict=True)
        if part is None
    ]
