"""The `data:` section of ct_abnormality: which volumes, which labels and patient each has, and how slices are cut."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from math import isnan
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
from jaxtyping import UInt8
from pydantic import Field

from components.core.config import Values, canonical
from components.core.data.case import Arrays, Decoded
from components.core.data.index import Row
from components.core.data.label_counts import signs
from components.core.data.layouts.sources import SourcePattern, matched
from components.core.data.quarantine import Unreadable
from components.core.errors import BadInput
from components.core.volumes.contact_sheet import contact_sheet
from components.core.volumes.extraction import Extraction
from components.core.volumes.limits import VolumeLimits
from components.recipes.contract import RawCase
from components.recipes.ct_abnormality import phantom_set
from components.recipes.ct_abnormality.label_table import Labelling, read_labels, refuse_misspelt, refuse_unnamed
from components.recipes.ct_abnormality.layout import Found, find, stem_of
from components.recipes.ct_abnormality.loading import NOT_SEEN, SLICES, load_volume
from components.recipes.ct_abnormality.metadata import VolumeMetadata, read_metadata
from components.recipes.ct_abnormality.phantom import Phantoms
from components.recipes.ct_abnormality.table_choice import choose_tables
from components.recipes.ct_abnormality.tables import TableRow

STRATUM = "all"
"""Volumes have several labels each, which divide them; there is no class to break results down by."""

ALONE = "volume"
"""`grouped_by` of a volume of which nothing tells whose it is."""


class CtData(Values):
    """Volumes, their labels, and how slices are cut of them.

    Attributes:
        include: Shell patterns of the volumes' paths below the raw folder; `*` matches `/` too.
        exclude: Patterns of what is no volume to take: masks beside the volumes, for example.
        labels: Table (or pattern of tables) of labels below the raw folder; `auto` looks for them, `none` wants none.
        label_columns: Columns that are labels, in their order; None takes CT-RATE's 18 where most of them are there,
            else every column beside the volume's and `group`.
        metadata: CT-RATE's metadata table: a name or pattern, `auto` or `none`.
        unlabelled: What becomes of volumes that the label tables do not name: `refuse`, or `keep` them for `pretrain`.
        missing: What becomes of rows whose volume is not there: `quarantine`, or `leave_out` where only a part of a
            data set was fetched.
        group_pattern: Regular expression searched in a volume's id; its first group (or the whole match) is the
            patient. The column `group` goes first; without both CT-RATE's names, DICOM's PatientID or folders tell.
        extraction: Hounsfield units, choice of slices, windows, size.
        limits: Bounds on one volume.
        synthetic: What is drawn where there is no raw folder.
    """

    include: tuple[str, ...] = Field(default=("*",), min_length=1)
    exclude: tuple[str, ...] = ()
    labels: str = "auto"
    label_columns: tuple[str, ...] | None = Field(default=None, min_length=1)
    metadata: str = "auto"
    unlabelled: Literal["refuse", "keep"] = "refuse"
    missing: Literal["quarantine", "leave_out"] = "quarantine"
    group_pattern: SourcePattern | None = None
    extraction: Extraction = Extraction()
    limits: VolumeLimits = VolumeLimits()
    synthetic: Phantoms = Phantoms()

    def synthesize(self, folder: Path) -> "CtData":
        """Write the phantoms in CT-RATE's layout. How their slices are cut stays as it is said here."""
        phantom_set.write(self.synthetic, folder)
        return CtData(extraction=self.extraction, limits=self.limits, synthetic=self.synthetic)

    def read(self, raw: Path) -> list[RawCase]:
        """List the volumes of a raw folder; the arrays are `slices` uint8 [n, s, s, c] and `labels` float32 [l].

        Raises:
            BadInput: The folder's structure or a table is at fault, or no label differs between volumes.
        """
        found = find(raw, self.include, self.exclude, self.limits)
        label_tables, metadata_tables = choose_tables(raw, self.labels, self.metadata)
        labelling = read_labels(label_tables, found, raw, self.label_columns)
        metadata = read_metadata(metadata_tables, found, raw)
        if labelling.names and self.unlabelled == "refuse":
            unnamed = [item for item in found if item.id not in labelling.values]
            refuse_misspelt(labelling.missing, unnamed)
            refuse_unnamed(unnamed)
        cases = [self._case(item, labelling, metadata.get(item.id)) for item in found]
        _refuse_split_scans(found, cases)
        if self.missing == "quarantine":
            cases += [_missing(raw, labelling, row) for row in labelling.missing]
        _refuse_sameness(cases, raw)
        return cases

    def remarks(self, rows: Sequence[Row]) -> list[str]:
        """What a reader of results must know of these volumes."""
        told, counted = [], Counter(str(row.attributes.get("grouped_by")) for row in rows)
        if counted[ALONE]:
            told.append(
                f"{counted[ALONE]} volume(s) are taken for a patient each, because neither a column, names, DICOM"
                " headers nor folders tell whose they are: leakage between patients not excluded"
            )
        if counted["folder"]:
            told.append(f"the patients of {counted['folder']} volume(s) are told by folder")
        unseen = sum(row.attributes.get("lungs") == NOT_SEEN for row in rows)
        if unseen:
            told.append(f"no lungs were seen in {unseen} volume(s): their slices are spread over the whole volume")
        return told

    def sheet(self, cases: Sequence[tuple[str, Arrays]]) -> UInt8[np.ndarray, "h w 3"]:
        """Slices of some volumes, one row each."""
        return contact_sheet([(name, arrays[SLICES]) for name, arrays in cases])

    def _case(self, item: Found, labelling: Labelling, metadata: VolumeMetadata | None) -> RawCase:
        labels = labelling.values.get(item.id, dict.fromkeys(labelling.names, float("nan")))
        labelled = not all(isnan(value) for value in labels.values())
        group, grouped_by = self._group(item, labelling)
        return RawCase(
            id=item.id,
            sources=item.sources,
            stratum=STRATUM if labelled else "",
            load=partial(self._load, item.path, metadata),
            group=group,
            attributes={"grouped_by": grouped_by, **({"scan": item.scan} if item.scan else {})},
            labelled=labelled,
            labels=labels if labelling.names else None,
            resume_key=_row_key(metadata),
        )

    def _group(self, item: Found, labelling: Labelling) -> tuple[str, str]:
        """The patient, and what told it."""
        if item.id in labelling.groups:
            return labelling.groups[item.id], "column"
        if self.group_pattern is not None:
            return matched(self.group_pattern, item.id, item.path), "pattern"
        return (item.group, item.grouped_by) if item.group else (item.id, ALONE)

    def _load(self, path: Path, metadata: VolumeMetadata | None) -> Decoded:
        return load_volume(path, self.extraction, self.limits, metadata)


def _row_key(metadata: VolumeMetadata | None) -> str:
    """All that decoding depends on beside settings and files."""
    if metadata is None:
        return ""
    return canonical([metadata.rescaling.slope, metadata.rescaling.intercept, metadata.spacing_zyx])


def _missing(raw: Path, labelling: Labelling, row: TableRow) -> RawCase:
    """A row without its volume: it cannot be decoded, and the quarantine will say so."""
    return RawCase(
        id=stem_of(row.volume),
        sources=(),
        stratum=STRATUM,
        load=partial(_does_not_exist, raw / row.volume, row.place),
        group="",
        labels=labelling.of_row(row),
    )


def _does_not_exist(path: Path, place: str) -> NoReturn:
    raise Unreadable(
        f"does not exist, and {Path(place).name} gives labels of it (data.missing: leave_out takes no notice of such"
        " rows)",
        where=path,
    )


def _refuse_split_scans(found: Sequence[Found], cases: Sequence[RawCase]) -> None:
    """Refuse a scan of which some reconstructions are said to be of another patient. Raises BadInput."""
    groups: dict[str, tuple[str | None, str]] = {}
    for item, case in zip(found, cases, strict=True):
        group, other = groups.setdefault(item.scan or case.id, (case.group, case.id))
        if group != case.group:
            raise BadInput(
                f"{other!r} and {case.id!r} are reconstructions of one scan, but of the patients {group!r} and"
                f" {case.group!r}",
                where=str(item.path),
                remedy="give them one group",
            )


def _refuse_sameness(cases: Sequence[RawCase], raw: Path) -> None:
    """Refuse labels of which none differs between volumes. Raises BadInput."""
    shown: Mapping[str, set[str]] = {name: set() for case in cases for name in case.labels or {}}
    for case in cases:
        for name, value in (case.labels or {}).items():
            shown[name].update(signs({name: value}))
    if any(shown.values()) and all(len(own) < 2 for own in shown.values()):
        alike = ", ".join(sorted(sign for own in shown.values() for sign in own))
        raise BadInput(
            f"no label differs between volumes: all have {alike}",
            where=str(raw),
            remedy="give labels that can be learned, or data.labels: none to pretrain only",
        )
