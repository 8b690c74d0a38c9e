"""Frozen features of the samples of a split: from the cache where they are kept, computed in place elsewhere."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeAlias

import torch
from torch import Tensor, nn

from components.core.digest import digest_code, digest_values
from components.core.engine.cache import Bank, FeatureCache
from components.core.engine.device import Device
from components.core.engine.task import Batch, Examples, Features, Prefix, ViewKey

FILL_BATCH = 8
"""Samples per evaluation while filling: fixed, so that the same key always holds the same bits."""

CHUNK_BATCHES = 8

log = logging.getLogger(__name__)

Keep: TypeAlias = Callable[[Prefix], bool]


def every_prefix(_: Prefix) -> bool:
    """Keep all of them."""
    return True


def silent() -> None:
    """Tell nobody."""


def digest_tensors(named: Iterable[tuple[str, Tensor]]) -> str:
    """sha256 over names, types, shapes and bytes of tensors."""
    hasher = hashlib.sha256()
    for name, value in sorted(named, key=lambda pair: pair[0]):
        hasher.update(f"{name}:{value.dtype}:{tuple(value.shape)}".encode())
        flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        hasher.update(flat.numpy().data)
    return hasher.hexdigest()


@dataclass(frozen=True)
class Views:
    """Every (source, view) of a split whose features are kept.

    Attributes:
        sources: Source of each row, counted from 0 in the order of first appearance.
        keys: Augmentation keys: `keys[source * per_source + view]`.
        per_source: Views of each source.
    """

    sources: Sequence[int]
    keys: Sequence[ViewKey]
    per_source: int

    @staticmethod
    def identity(sources: Sequence[int]) -> "Views":
        """Each source as it is: validation and test."""
        return Views(sources, [()] * len(set(sources)), 1)

    @cached_property
    def first_rows(self) -> list[int]:
        """A row of each source."""
        rows: dict[int, int] = {}
        for row, source in enumerate(self.sources):
            rows.setdefault(source, row)
        return list(rows.values())

    def position(self, row: int, view: int) -> int:
        """Place of a row's view among the keys."""
        return self.sources[row] * self.per_source + view


class FrozenFeatures:
    """Outputs of a model's frozen prefixes for the samples of one split.

    Args:
        model: Already on the device, frozen parts in eval mode.
        owned: Owning part by tensor name.
        prefixes: What is frozen.
        views: The (source, view) pairs to keep; None where every epoch draws fresh ones, so nothing can be kept.
        cache: None switches caching off: every prefix is then computed in every step.
        keep: Which prefixes the cache may keep; benchmarks leave some out.
        heartbeat: Called after every evaluation while the cache is filled, which may take hours.
    """

    def __init__(
        self,
        model: nn.Module,
        owned: dict[str, str],
        prefixes: Sequence[Prefix],
        examples: Examples,
        views: Views | None,
        cache: FeatureCache | None,
        device: Device,
        keep: Keep = every_prefix,
        heartbeat: Callable[[], None] = silent,
    ) -> None:
        self._model = model
        self._owned = owned
        self._examples = examples
        self._views = views
        self._cache = cache
        self._device = device
        self._prefixes = prefixes
        self._keep = keep
        self._heartbeat = heartbeat
        self._banks: dict[str, Bank] = {}
        self._fill()
        kept = set(self._banks)
        self.fields = frozenset[str]().union(
            *(p.fields for p in prefixes if p.name not in kept and p.table is None),
            *({p.index} for p in prefixes if p.table is not None),
        )
        """Batch fields that `of` needs: those of the prefixes that are not kept."""

    @property
    def tables(self) -> frozenset[str]:
        """Names of the features that are looked up in a table of inputs which samples share."""
        return frozenset(prefix.name for prefix in self._prefixes if prefix.table is not None)

    @property
    def nbytes(self) -> int:
        """Size of the kept features."""
        return sum(bank.nbytes for bank in self._banks.values())

    def of(self, batch: Batch, views: Sequence[int]) -> Features:
        """Features of a batch on the device.

        Args:
            batch: Holds `self.fields` and `row`.
            views: Number of each sample's view.
        """
        found: Features = {}
        for prefix in self._prefixes:
            bank = self._banks.get(prefix.name)
            if bank is None:
                found[prefix.name] = self._compute(prefix, self._inputs(prefix, batch))
            else:
                found[prefix.name] = bank.read(self._positions(prefix, batch, views)).to(self._device.device)
        return found

    @property
    def _kept(self) -> Views:
        """The views whose per-sample features are kept: there are none to ask for while views are fresh."""
        if self._views is None:
            raise RuntimeError("per-sample features of fresh views are never kept")
        return self._views

    def _positions(self, prefix: Prefix, batch: Batch, views: Sequence[int]) -> list[int]:
        if prefix.table is not None:
            return [int(row) for row in batch[prefix.index]]
        rows = batch["row"].tolist()
        return [self._kept.position(int(row), view) for row, view in zip(rows, views, strict=True)]

    @staticmethod
    def _inputs(prefix: Prefix, batch: Batch) -> Batch:
        if prefix.table is None:
            return batch
        index = batch[prefix.index].cpu()
        return {name: value[index] for name, value in prefix.table.items()}

    @torch.no_grad()
    def _compute(self, prefix: Prefix, inputs: Batch) -> Tensor:
        with self._device.autocast():
            return prefix.compute(self._device.move(inputs)).float()

    def _fill(self) -> None:
        if self._cache is None:
            return
        for prefix in self._prefixes:
            if (prefix.table is None and self._views is None) or not prefix.kept or not self._keep(prefix):
                continue
            rows = FILL_BATCH * CHUNK_BATCHES
            compute = partial(self._rows, prefix)
            bank = self._cache.open(self._key(prefix), self._note(prefix), self._count(prefix), rows, compute)
            if bank is not None:
                self._banks[prefix.name] = bank

    def _count(self, prefix: Prefix) -> int:
        if prefix.table is not None:
            return len(next(iter(prefix.table.values())))
        return len(self._kept.keys)

    def _rows(self, prefix: Prefix, start: int, stop: int) -> Tensor:
        pieces = []
        for first in range(start, stop, FILL_BATCH):
            last = min(first + FILL_BATCH, stop)
            pieces.append(self._compute(prefix, self._load(prefix, range(first, last))).cpu())
            self._heartbeat()
        return torch.cat(pieces)

    def _load(self, prefix: Prefix, items: range) -> Batch:
        if prefix.table is not None:
            return {name: value[items.start : items.stop] for name, value in prefix.table.items()}
        rows = [self._kept.first_rows[item // self._kept.per_source] for item in items]
        return self._examples.load(rows, [self._kept.keys[item] for item in items], prefix.fields)

    def _key(self, prefix: Prefix) -> str:
        """Digest of weights, inputs, preprocessing and types: unfreezing or new data change it by themselves.

        The code that decodes, augments and evaluates is part of the preprocessing.
        """
        parts = set(prefix.parts)
        named = [*self._model.named_parameters(), *self._model.named_buffers()]
        weights = digest_tensors((name, value) for name, value in named if self._owned[name] in parts)
        if prefix.table is not None:
            data = digest_tensors(prefix.table.items())
        else:
            data = digest_values([self._examples.digest, [list(key) for key in self._kept.keys]])
        settings = self._cache.settings.dtype if self._cache else ""
        # How many processes train does not change what one of them computes here.
        fingerprint = {name: value for name, value in self._device.fingerprint().items() if name != "world_size"}
        layout = [settings, fingerprint, FILL_BATCH, CHUNK_BATCHES]
        return digest_values([digest_code(), weights, prefix.signature, self._kind(prefix), data, *layout])

    @staticmethod
    def _kind(prefix: Prefix) -> str:
        """Prefixes that read the same table are the same features, whatever column they are looked up by."""
        return "table" if prefix.table is not None else prefix.name

    def _note(self, prefix: Prefix) -> str:
        return f"{prefix.name} ({self._count(prefix)} rows, {self._device.precision})"
