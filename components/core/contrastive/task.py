"""What the engine trains in `pretrain`: a recipe's encoder, on its pictures, without labels."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from components.core.contrastive.collapse import effective_rank
from components.core.contrastive.examples import FIELD, PictureViews
from components.core.contrastive.network import Contraster
from components.core.contrastive.probe import judgeable, probe_accuracy
from components.core.contrastive.values import ENCODER, LOSS, PROJECTION, Pretrain
from components.core.data.dataset import Dataset
from components.core.data.pictures import Pictures
from components.core.engine.gather import gather, own_rows
from components.core.engine.step import REMEDY, NonFinite
from components.core.engine.task import Batch, Encoder, Examples, Features, Objective, Prefix
from components.core.errors import BadInput
from components.core.losses.nt_xent import nt_xent

SEEN = ("train", "unlabelled")
"""Parts of a dataset that are looked at; never val, test or calibration."""

RANK, ACCURACY = "effective_rank", "probe_accuracy"


class Pictured(Protocol):
    """A recipe's task, as far as its encoder is trained here."""

    def build_model(self, seed: int) -> nn.Module:
        """The recipe's model on the CPU."""

    def encoder(self, model: nn.Module) -> Encoder | None:
        """Its part that can be trained without labels."""

    def pictures(self, dataset: Dataset, splits: Sequence[str]) -> Pictures:
        """The pictures of some splits."""


class Contrastive:
    """SimCLR on a recipe's encoder, in place.

    What the engine calls validation looks at train pictures as they are: the effective rank of their embeddings
    (1: collapsed), and with labels of two classes or more the accuracy of a linear probe, cross-validated over groups.

    Args:
        task: The recipe's.
        dataset: Whose train pictures, and those without labels, are seen.
        values: The `pretrain:` section.
        seed: Of the first model that will be asked for.

    Raises:
        BadInput: There are fewer than two pictures, so none can be told from another; or the recipe has no encoder.
    """

    mixed: frozenset[str] = frozenset()

    def __init__(self, task: Pictured, dataset: Dataset, values: Pretrain, seed: int) -> None:
        self._task = task
        self._values = values
        self._pictures = task.pictures(dataset, [part for part in SEEN if part in dataset.splits])
        if len(self._pictures.ids) < 2:
            raise BadInput(
                f"{len(self._pictures.ids)} train or unlabelled pictures: none can be told from another",
                where=str(dataset.folder),
                remedy="prepare with more pictures, or switch the stage off with pretrain.epochs: 0",
            )
        self._probed, self._labelled = probed_rows(self._pictures, values.probe.pictures)
        self.monitor = ACCURACY if self._labelled else RANK
        self._seed = seed
        self._built: Contraster | None = self._network(seed)  # its encoder tells the size of the pictures
        self._size = self._built.source.size

    def build_model(self, seed: int) -> Contraster:
        """A network of its own: the recipe's encoder as it begins, and a fresh projection."""
        built, self._built = self._built, None
        return built if built is not None and seed == self._seed else self._network(seed)

    def _network(self, seed: int) -> Contraster:
        encoder = self._task.encoder(self._task.build_model(seed))
        if encoder is None:
            raise BadInput(
                "the recipe's model has no encoder to train without labels",
                where="pretrain.epochs",
                remedy="switch the stage off with pretrain.epochs: 0",
            )
        return Contraster(encoder, self._values.projection, seed)

    def parts(self, model: nn.Module) -> dict[str, list[str]]:
        """The projection, and the whole encoder."""
        return {PROJECTION: [PROJECTION], ENCODER: [ENCODER]}

    def encoder(self, model: nn.Module) -> Encoder:
        """What is handed on."""
        return cast(Contraster, model).source

    def examples(self, dataset: object, split: str) -> PictureViews:
        """The pictures to train on, or those to look at in between: train pictures too."""
        rows = range(len(self._pictures.ids)) if split == "train" else self._probed
        return PictureViews(self._pictures, rows, self._size, self._values.views)

    def check(self, losses: Mapping[str, float], examples: Examples, trainable: Collection[str]) -> None:
        """There is one loss, and every picture serves it."""

    def couples(self, losses: Mapping[str, float]) -> str:
        """Its batch is what a picture is told from."""
        return f"{LOSS}: each picture's negatives are the rest of its batch, and accumulation adds none"

    def fields(self, losses: Mapping[str, float]) -> frozenset[str]:
        """Views alone."""
        return frozenset({FIELD})

    def prefixes(
        self, model: nn.Module, examples: Examples, frozen: frozenset[str], losses: Mapping[str, float]
    ) -> list[Prefix]:
        """Nothing is frozen."""
        return []

    def objective(self, model: nn.Module, batch: Batch, features: Features, losses: Mapping[str, float]) -> Objective:
        """NT-Xent of each picture, among the views of all processes' batches."""
        network, views = cast(Contraster, model), batch[FIELD]
        projected = network(as_floats(views.transpose(0, 1).flatten(0, 1))).unflatten(0, (2, len(views)))
        pairs = projected.transpose(0, 1)
        finite = torch.isfinite(pairs).flatten(1).all(dim=1)
        everyone = gather(pairs)
        if not bool(torch.isfinite(everyone).all()):
            return Objective({LOSS: _naming(pairs, finite)})
        values = nt_xent(
            projected[0],
            projected[1],
            self._values.temperature,
            (everyone[:, 0], everyone[:, 1]),
            own_rows(len(everyone)).start,
        )
        alike = F.cosine_similarity(projected[0].detach().float(), projected[1].detach().float())
        return Objective({LOSS: losses[LOSS] * values}, {"positive_similarity": float(alike.mean())})

    def measure(
        self, model: nn.Module, batch: Batch, features: Features, losses: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """The vectors [b, w] of pictures as they are."""
        return {"embedding": cast(Contraster, model).embed(as_floats(batch[FIELD][:, 0]))}

    def summarise(self, measured: dict[str, Tensor]) -> dict[str, float]:
        """Effective rank of the embeddings, and the accuracy of a linear probe where there are labels.

        Raises:
            NonFinite: Naming the pictures whose embeddings are not.
        """
        embeddings = measured["embedding"].double().numpy()
        finite = np.isfinite(embeddings).all(axis=1)
        if not finite.all():
            names = [self._pictures.ids[row] for row, good in zip(self._probed, finite, strict=True) if not good]
            raise NonFinite("the embedding is not finite", where=f"samples {', '.join(names)}", remedy=REMEDY)
        summary = {RANK: effective_rank(embeddings)}
        labels = np.array([self._pictures.labels[row] for row in self._probed])
        groups = [self._pictures.groups[row] for row in self._probed]
        accuracy = probe_accuracy(embeddings, labels, groups, self._values.probe.folds) if self._labelled else None
        return summary if accuracy is None else {**summary, ACCURACY: accuracy}

    def decide(self, summary: Mapping[str, float]) -> dict[str, str]:
        """Nothing."""
        return {}


def probed_rows(pictures: Pictures, most: int) -> tuple[list[int], bool]:
    """Rows that are looked at between epochs, and whether a probe can be fitted to their labels.

    Those whose class can be judged, or all where there are no two such classes. Of more than `most`, whole groups are
    taken in the order of their names' digests.
    """
    labels = np.array(pictures.labels, dtype=np.int64)
    groups = np.unique(np.array(pictures.groups), return_inverse=True)[1]
    labelled, _ = judgeable(labels, groups)
    rows = np.flatnonzero(labelled) if labelled.any() else np.arange(len(labels))
    lots = sorted(
        {pictures.groups[row] for row in rows.tolist()}, key=lambda name: hashlib.sha256(name.encode()).digest()
    )
    place = {name: number for number, name in enumerate(lots)}
    by_lot = sorted(rows.tolist(), key=lambda row: place[pictures.groups[row]])
    if len(by_lot) > most:
        split = place[pictures.groups[by_lot[most]]]  # the group that does not fit as a whole
        by_lot = [row for row in by_lot if place[pictures.groups[row]] < split] or by_lot[:most]
    chosen = np.array(sorted(by_lot))
    return chosen.tolist(), bool(judgeable(labels[chosen], groups[chosen])[0].any())


def as_floats(pictures: UInt8[Tensor, "b s s 3"]) -> Float[Tensor, "b 3 s s"]:
    """RGB in [0, 1]."""
    return pictures.permute(0, 3, 1, 2).float() / 255


def _naming(pairs: Float[Tensor, "b 2 d"], finite: Bool[Tensor, "b"]) -> Float[Tensor, "b"]:
    """A loss that is not finite for the pictures at fault alone: in the similarities, one spoils all."""
    zero = pairs.nan_to_num(0.0, 0.0, 0.0).flatten(1).sum(dim=1) * 0
    return torch.where(finite, zero, torch.nan)
