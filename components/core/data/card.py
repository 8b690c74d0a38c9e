"""The card of a prepared dataset: what it is, where it came from, and what to beware of."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from components.core.config import Values
from components.core.data.files import read_text, write_text
from components.core.data.quarantine import Quarantined
from components.core.data.shards import ShardEntry
from components.core.errors import BadInput

SCHEMA_VERSION = 2
CARD = "card.json"
INFERRED = "groups inferred, leakage between patients not excluded"
STRATA = "strata"
EVERY_LABEL = "positives and negatives of every label, groups with the rarest first"


class Sources(Values):
    """The raw files behind a dataset.

    Attributes:
        files: How many distinct files were read.
        sha256: Digest over (case id, digests of its files) of every case. Each case's own is in the index.
        notices: Digest by name of the files SOURCE*, LICENSE*, LICENCE*, COPYING*, CITATION*, ATTRIBUTION*, README*.
    """

    files: int
    sha256: str
    notices: dict[str, str]


class Extent(Values):
    """Sizes of one array over all cases, dimension by dimension (`image`: height, width, channels)."""

    dtype: str
    smallest: list[int]
    largest: list[int]


class Spread(Values):
    """A numeric attribute over all cases that have it."""

    lowest: float
    median: float
    highest: float


class Cluster(Values):
    """Near-duplicates of one source.

    Attributes:
        size: How many cases it has.
        strata: How many of them by stratum.
        examples: The first ids.
    """

    size: int
    strata: dict[str, int]
    examples: list[str]


class Clusters(Values):
    """Near-duplicates that were found, so that a reader can judge whether they are copies.

    Attributes:
        count: Clusters of two or more cases.
        cases: Cases in them.
        across_strata: Clusters whose cases have different strata: one of the labels may be wrong.
        largest: The largest clusters first; those across strata go before others of their size.
    """

    count: int
    cases: int
    across_strata: int
    largest: list[Cluster]


class Groups(Values):
    """How it was decided which cases belong together.

    Attributes:
        found: `given` by the data (a column, a volume, a name), `inferred` from near-duplicates, or `mixed`.
        count: Number of groups.
        by_split: Number of groups in every split.
        clusters: What was found of near-duplicates; None where all groups are given, so that nobody looked.
    """

    found: str
    count: int
    by_split: dict[str, int]
    clusters: Clusters | None


class VolumeFacts(Values):
    """What decoding tells of a volume.

    Attributes:
        shape: Slices, rows, columns.
        spacing_mm: Between them.
        hu_min: Lowest value of all its voxels, Hounsfield units (below -1500: padding outside of the field of view).
        hu_max: Highest.
        slices: How many were taken.
        places: Where along z, in slices of the volume from the feet.
        rescaling: What made its stored values Hounsfield units.
        lungs: Whether the z-range of the lungs was found; None where nobody looked.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    hu_min: float
    hu_max: float
    slices: int
    places: list[float]
    rescaling: str
    lungs: bool | None


class Volume(VolumeFacts):
    """A volume of the dataset.

    Attributes:
        id: Id of its case.
        sha256: Of its file; of several files (a DICOM series) the index's `source_sha256`, over all of them.
    """

    id: str
    sha256: str


class LabelCount(Values):
    """Cases of one split by what they say of one label (soft labels by their half)."""

    positive: int
    negative: int
    unknown: int


class Card(Values):
    """What `card.json` holds.

    Attributes:
        schema_version: Version of the dataset's form.
        recipe: Recipe it was prepared for.
        synthetic: Whether the pictures were made by a program.
        settings: The recipe's `data:` section and the split that made it.
        label_names: What label values or columns mean.
        counts: Cases by split and stratum.
        label_counts: Cases by label and split, where cases have several labels each.
        divided_by: What the splits keep in proportion.
        groups: How cases were grouped.
        arrays: Sizes by array name.
        attributes: Spread of numeric attributes (spacing, for example).
        volumes: Every volume that was cut into slices.
        quarantine: Cases that were set aside because they cannot be read.
        left_out: Unlabelled cases that were set aside because they show what is held out, and files that are no cases.
        warnings: What a reader of results must know.
        sources: The raw files.
        index_sha256: Digest of index.parquet.
        shards: The shards, in order.
    """

    schema_version: int
    recipe: str
    synthetic: bool
    settings: dict[str, Any]
    label_names: dict[str, str]
    counts: dict[str, dict[str, int]]
    label_counts: dict[str, dict[str, LabelCount]] = {}
    divided_by: str = STRATA
    groups: Groups
    arrays: dict[str, Extent]
    attributes: dict[str, Spread]
    volumes: list[Volume] = []
    quarantine: list[Quarantined]
    left_out: list[Quarantined]
    warnings: list[str]
    sources: Sources
    index_sha256: str
    shards: list[ShardEntry]


def write_card(folder: Path, card: Card) -> None:
    """Write `card.json` into a dataset's folder."""
    write_text(folder / CARD, card.model_dump_json(indent=1) + "\n")


def read_card(folder: Path) -> Card:
    """Read `card.json` of a dataset's folder.

    Raises:
        BadInput: There is none, it is damaged, or another version of Thaw wrote it.
    """
    path = folder / CARD
    if not path.is_file():
        raise BadInput("not a prepared dataset: there is no card.json", where=str(folder), remedy="run prepare first")
    try:
        card = Card.model_validate_json(read_text(path))
    except ValidationError as error:
        raise BadInput(
            f"the card is damaged or of another version: {error.errors()[0]['msg']}",
            where=str(path),
            remedy="run prepare again",
        ) from error
    if card.schema_version != SCHEMA_VERSION:
        raise BadInput(
            f"the dataset has schema version {card.schema_version}, this program reads {SCHEMA_VERSION}",
            where=str(path),
            remedy="run prepare again",
        )
    return card
