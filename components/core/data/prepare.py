"""From raw files to a prepared dataset: decode, set aside, group, split, write. Knows no recipe."""

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from components.core.data.card import Volume, write_card
from components.core.data.case import LABELS, Arrays, Case, Choosy, Shown, Source
from components.core.data.decoding import Ready, decode_all
from components.core.data.describe import Divided, Facts, describe, settings_of
from components.core.data.division import Division, Member, divide
from components.core.data.fingerprints import Fingerprint
from components.core.data.index import INDEX, Attribute, Row, write_index
from components.core.data.kept import Kept
from components.core.data.label_counts import count_labels
from components.core.data.progress import Progress
from components.core.data.quarantine import Quarantine, Quarantined, QuarantineLimits, Unreadable, Unwanted, name_of
from components.core.data.shards import ShardEntry, ShardReader, ShardWriter
from components.core.data.splits import Split
from components.core.digest import digest_code, digest_path, digest_values
from components.core.errors import BadInput

log = logging.getLogger(__name__)

SYNTHETIC_RAW = ".synthetic"
"""Where synthetic raw files lie, inside the unfinished dataset, while they are read."""

SHOWS_HELD_OUT = "unlabelled, and of one source with a picture of val, test or calibration"

SHEET = "contact_sheet.png"
"""Picture of some of the cases. Eyes look at it and nothing else: no digest of the data covers it."""

SHEET_CASES = 24


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
    restart: bool = False,
    watch: Callable[[int], None] | None = None,
) -> None:
    """Make a prepared dataset: shards, index and card.

    Cases that are costly to decode (`RawCase.resume_key`) are kept beside the folder until the dataset is finished,
    so that a prepare that was killed, or had to stop, goes on where it was; the finished bytes are the same.

    Args:
        source: The recipe's `data:` section.
        raw: Folder of raw files; None synthesizes them.
        split: How to divide the cases.
        quarantine: How much may be unreadable.
        folder: Where to write; must not exist or be empty. Nothing is left there after an error.
        recipe: Name for the card.
        workers: Threads that decode; 0 decodes in this one.
        progress: Show a bar if there is a terminal.
        restart: Decode everything anew, whatever an unfinished prepare left.
        watch: Called after every case with the number of those set aside as unusable so far.

    Raises:
        BadInput: Faults of structure, too many unreadable files, or cases that cannot be split.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BadInput("the dataset's folder is not empty", where=str(folder), remedy="name another, or empty it")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if raw is None:
            source = source.synthesize(folder / SYNTHETIC_RAW)
        kept = Kept(kept_beside(folder), digest_values([digest_code(), settings_of(source)]))
        if restart:
            kept.discard()
        work = _Work(source, raw or folder / SYNTHETIC_RAW, split, quarantine, folder, recipe)
        work.write(kept, workers, progress, watch)
    except BaseException:
        shutil.rmtree(folder)
        raise
    kept.discard()
    shutil.rmtree(folder / SYNTHETIC_RAW, ignore_errors=True)


def kept_beside(folder: Path) -> Path:
    """Where a prepare of this folder keeps decoded cases until it is finished."""
    return folder.with_name(f".{folder.name.lstrip('.')}.cases")


@dataclass(frozen=True)
class _Work:
    """One prepare: what is read, how, and where it goes."""

    source: Source
    raw: Path
    split: Split
    limits: QuarantineLimits
    folder: Path
    recipe: str

    def write(self, kept: Kept, workers: int, progress: bool, watch: Callable[[int], None] | None) -> None:
        """Write shards, index, card and sheet."""
        cases = _listed(self.source, self.raw)
        quarantine, writer, facts = Quarantine(self.limits, self.raw), ShardWriter(self.folder), Facts()
        entries: list[_Entry] = []
        unwanted: list[Quarantined] = []
        if waiting := len(kept):
            log.info("%d cases that an unfinished prepare decoded are taken up again if they are the same", waiting)
        with Progress("prepare", len(cases), shown=progress) as bar:
            for case, outcome in decode_all(cases, kept, workers):
                bar.advance()
                if watch is not None:
                    watch(len(quarantine.entries))
                if isinstance(outcome, Unwanted):
                    unwanted.append(_set_aside(case, outcome, self.raw))
                    continue
                if isinstance(outcome, Unreadable):
                    quarantine.add(case.id, outcome)
                    continue
                entry, arrays = _entry(case, outcome), _arrays(case, outcome)
                facts.add(arrays, case.sources, inferred=case.group is None, volume=entry.volume)
                entries.append(replace(entry, shard=writer.add(case.id, arrays)))
        quarantine.check(len(cases) - len(unwanted))
        if not entries:
            raise BadInput(f"none of {len(cases)} files is a case: {unwanted[0].reason}", where=str(self.raw))
        divided = self._divide(entries, unwanted)
        self._finish(divided, writer.close(), facts, quarantine)

    def _divide(self, entries: Sequence["_Entry"], unwanted: Sequence[Quarantined]) -> Divided:
        division = divide([entry.member for entry in entries], self.split)
        rows = _rows(entries, division)
        if isinstance(self.source, Choosy):
            self.source.check(rows, self.split)
        return _divided(entries, rows, division, self.raw, unwanted)

    def _finish(self, divided: Divided, shards: list[ShardEntry], facts: Facts, quarantine: Quarantine) -> None:
        write_index(self.folder, divided.rows)
        card = describe(
            source=self.source,
            raw=self.raw,
            recipe=self.recipe,
            split=self.split,
            divided=divided,
            facts=facts,
            quarantine=quarantine.entries,
            shards=shards,
            index_sha256=digest_path(self.folder / INDEX),
        )
        write_card(self.folder, card)
        if isinstance(self.source, Shown):
            _write_sheet(self.source, self.folder, shards, divided.rows)


@dataclass(frozen=True)
class _Entry:
    """A decoded case without its arrays."""

    case: Case
    source_sha256: str
    print: Fingerprint | None
    attributes: Mapping[str, Attribute]
    volume: Volume | None
    shard: str = ""

    @property
    def member(self) -> Member:
        case = self.case
        return Member(case.id, case.group, case.stratum, case.labelled, self.print, case.labels)


def _entry(case: Case, ready: Ready) -> _Entry:
    decoded = ready.decoded
    attributes = {**_native_size(decoded.arrays), **case.attributes, **decoded.attributes}
    whole = ready.files_sha256[0] if len(ready.files_sha256) == 1 else ready.source_sha256
    volume = Volume(id=case.id, sha256=whole, **decoded.volume.model_dump()) if decoded.volume else None
    return _Entry(case, ready.source_sha256, ready.print, attributes, volume)


def _arrays(case: Case, ready: Ready) -> Arrays:
    if case.labels is None:
        return ready.decoded.arrays
    return {**ready.decoded.arrays, LABELS: np.array(list(case.labels.values()), np.float32)}


def _listed(source: Source, raw: Path) -> list[Case]:
    """The cases by id: no result depends on the order files were found in."""
    cases = sorted(source.read(raw), key=lambda case: case.id)
    if not cases:
        raise BadInput("no cases were found", where=str(raw), remedy="check the folder and data.layout")
    for before, after in pairwise(cases):
        if before.id == after.id:
            raise _twice(before, after)
    return cases


def _twice(before: Case, after: Case) -> BadInput:
    """Two cases of one id: the same file listed twice, or two files of one name."""
    if before.sources[:1] == after.sources[:1]:
        return BadInput(
            f"the case {after.id!r} is listed twice",
            where=", ".join(map(str, after.sources[:1])),
            remedy="list it once, with one label",
        )
    return BadInput(
        f"two cases have the id {after.id!r}",
        where=", ".join(str(path) for path in (*before.sources[:1], *after.sources[:1])),
        remedy="rename one of the files, or give unique ids",
    )


def _native_size(arrays: Arrays) -> Mapping[str, Attribute]:
    """Columns `height` and `width` of cases that hold a picture [h, w, 3]."""
    image = arrays.get("image")
    if image is None or image.ndim != 3 or image.shape[2] != 3:
        return {}
    return {"height": image.shape[0], "width": image.shape[1]}


def _rows(entries: Sequence[_Entry], division: Division) -> list[Row]:
    return [
        Row(
            id=item.case.id,
            group=group,
            stratum=item.case.stratum,
            split=part,
            shard=item.shard,
            source_sha256=item.source_sha256,
            attributes=item.attributes,
        )
        for item, group, part in zip(entries, division.groups, division.parts, strict=True)
        if part is not None
    ]


def _set_aside(case: Case, reason: Unwanted, raw: Path) -> Quarantined:
    return Quarantined(id=case.id, file=name_of(Path(reason.where), raw), reason=reason.what)


def _divided(
    entries: Sequence[_Entry], rows: list[Row], division: Division, raw: Path, unwanted: Sequence[Quarantined]
) -> Divided:
    leaders = division.leaders
    return Divided(
        rows=rows,
        leaders=None
        if leaders is None
        else {item.case.id: leader for item, leader in zip(entries, leaders, strict=True)},
        left_out=[
            Quarantined(id=item.case.id, file=name_of(item.case.sources[0], raw), reason=SHOWS_HELD_OUT)
            for item, part in zip(entries, division.parts, strict=True)
            if part is None
        ],
        unwanted=unwanted,
        label_counts=count_labels([item.case.labels for item in entries], division.parts),
    )


def _write_sheet(source: Shown, folder: Path, shards: Sequence[ShardEntry], rows: Sequence[Row]) -> None:
    """Paint cases spread evenly over the index, read from the shards that have just been written."""
    readers = {entry.name: ShardReader(folder / entry.name, entry) for entry in shards}
    places = np.rint(np.linspace(0, len(rows) - 1, min(SHEET_CASES, len(rows)))).astype(int)
    shown = []
    for row in (rows[place] for place in places):
        reader = readers[row.shard]
        shown.append((row.id, {name: reader.array(row.id, name) for name in reader.names(row.id)}))
    Image.fromarray(source.sheet(shown)).save(folder / SHEET)
