"""A prepared dataset, as every stage after `prepare` sees it."""

from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from components.core.data.card import SCHEMA_VERSION, Card, read_card
from components.core.data.index import INDEX, Row, digest_rows, read_index
from components.core.data.shards import ShardReader
from components.core.data.splits import SPLITS
from components.core.digest import digest_path, digest_values
from components.core.errors import BadInput

__all__ = ["Dataset", "Row"]


class Dataset:
    """Rows by split, and their arrays in place. Safe to share between threads.

    Use `Dataset.open`.
    """

    def __init__(self, folder: Path, card: Card, rows: list[Row], shards: dict[str, ShardReader]) -> None:
        self.folder = folder
        self.card = card
        self._rows = {row.id: row for row in rows}
        self._shards = shards

    @classmethod
    def open(cls, folder: Path) -> "Dataset":
        """Open a folder that `prepare` wrote.

        Schema, index, shard sizes and shard headers are checked now; every array's bytes when first read.

        Raises:
            BadInput: The folder is no dataset, or something in it is damaged.
        """
        card = read_card(folder)
        index = folder / INDEX
        if not index.is_file() or digest_path(index) != card.index_sha256:
            raise BadInput(
                "the index is missing or is not the one the card names", where=str(index), remedy="run prepare again"
            )
        shards = {entry.name: ShardReader(folder / entry.name, entry) for entry in card.shards}
        return cls(folder, card, read_index(folder), shards)

    @cached_property
    def digest(self) -> str:
        """Content digest: rows (with their splits and attributes), what labels mean (prompts) and every array."""
        rows = digest_rows(list(self._rows.values()))
        return digest_values([SCHEMA_VERSION, rows, self.card.label_names, self._shard_digests()])

    def _shard_digests(self) -> list[str]:
        return [entry.sha256 for entry in self.card.shards]

    @property
    def splits(self) -> list[str]:
        """Names of the splits that hold cases."""
        present = {row.split for row in self._rows.values()}
        return [name for name in SPLITS if name in present]

    def first(self, cases: int) -> "Dataset":
        """The same dataset with the first cases of every split alone, by id: for rehearsals."""
        kept = [row for split in self.splits for row in self.rows(split)[:cases]]
        return Dataset(self.folder, self.card, kept, self._shards)

    def rows(self, split: str) -> list[Row]:
        """Cases of one split, by id. A split without cases gives an empty list.

        Raises:
            ValueError: `split` is not the name of a split.
        """
        if split not in SPLITS:
            raise ValueError(f"{split!r} is none of the splits {SPLITS}")
        return [row for row in self._rows.values() if row.split == split]

    def row(self, case: str) -> Row:
        """One case by id. Raises KeyError for an unknown one."""
        return self._rows[case]

    def names(self, case: str) -> list[str]:
        """Names of a case's arrays."""
        return self._shards[self._rows[case].shard].names(case)

    def array(self, case: str, name: str) -> Shaped[np.ndarray, "..."]:
        """One array of a case: a read-only view of the mapped file, not a copy.

        Raises:
            KeyError: Unknown id or array name.
            BadInput: Its bytes are damaged.
        """
        return self._shards[self._rows[case].shard].array(case, name)

    def verify(self) -> None:
        """Read everything and compare it with the card.

        Raises:
            BadInput: A shard is damaged.
        """
        for entry in self.card.shards:
            if digest_path(self.folder / entry.name) != entry.sha256:
                raise BadInput("the shard is damaged", where=str(self.folder / entry.name), remedy="run prepare again")
