"""The loss terms of ct_abnormality by name, each a value per volume, also of volumes whose labels are mixed."""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from components.core.data.card import Card
from components.core.engine.task import Batch
from components.core.errors import BadInput
from components.core.losses.multilabel import asymmetric_loss, multilabel_bce, multilabel_focal, smoothed
from components.core.losses.weights import of_both_labels
from components.recipes.ct_abnormality.objectives import Objectives

LABELS = "labels"
"""Field [b, l] of the batch: 1 present, 0 absent, between where it is unsure, NaN unknown."""

Term = Callable[[Tensor, Tensor, Objectives, Tensor | None], Tensor]
"""(logits [b, l], labels [b, l], constants, weight of present labels [l] or None) to [b]."""

Logits = Float[Tensor, "b l"]
Labels = Float[Tensor, "b l"]


def _bce(logits: Logits, labels: Labels, _: Objectives, weight: Float[Tensor, "l"] | None) -> Float[Tensor, "b"]:
    return multilabel_bce(logits, labels, weight)


def _focal(logits: Logits, labels: Labels, constants: Objectives, _: Float[Tensor, "l"] | None) -> Float[Tensor, "b"]:
    return multilabel_focal(logits, labels, constants.alpha, constants.gamma)


def _asl(logits: Logits, labels: Labels, constants: Objectives, _: Float[Tensor, "l"] | None) -> Float[Tensor, "b"]:
    return asymmetric_loss(logits, labels, constants.gamma_negative, constants.gamma_positive, constants.clip)


TERMS: Mapping[str, Term] = {"bce": _bce, "focal": _focal, "asl": _asl}
"""Every term a phase may weigh. BCE and focal are means over the known labels of a volume, ASL is their sum."""


def loss_terms(
    taught: Float[Tensor, "b m l"],
    batch: Batch,
    losses: Mapping[str, float],
    constants: Objectives,
    pos_weight: Float[Tensor, "l"] | None,
) -> dict[str, Float[Tensor, "b"]]:
    """Weighted terms of a batch of volumes.

    Args:
        taught: Scores before the sigmoid: one row per volume, or one per slice, whose losses are averaged.
        batch: Holds `labels` [b, l]; of mixed volumes also `labels:partner` and `mix`.
        losses: Weights by term.
        constants: Constants of the terms.
        pos_weight: Weight of each label's presence in the BCE term.
    """
    count, rows = taught.shape[:2]
    factors = None if pos_weight is None else pos_weight.to(taught.device)
    chosen = {name: weight for name, weight in losses.items() if weight > 0}

    def terms(labels: Float[Tensor, "b l"]) -> dict[str, Float[Tensor, "b"]]:
        targets = smoothed(labels, constants.smoothing)[:, None].expand_as(taught).flatten(0, 1)
        return {
            name: weight
            * TERMS[name](taught.flatten(0, 1), targets, constants, factors).reshape(count, rows).mean(dim=1)
            for name, weight in chosen.items()
        }

    return of_both_labels(batch, LABELS, terms)


def present_weights(constants: Objectives, names: Sequence[str], card: Card) -> Float[Tensor, "l"] | None:
    """Weight of each label's presence in the BCE term; None where all weigh 1.

    Raises:
        BadInput: A list of weights is of another length than the labels.
    """
    chosen = constants.pos_weight
    if chosen == "none":
        return None
    if chosen == "balanced":
        return torch.tensor([_ratio(card, name, constants.greatest_weight) for name in names])
    if len(chosen) != len(names):
        raise BadInput(
            f"{len(chosen)} weights for {len(names)} labels",
            where="recipe.model.objectives.pos_weight",
            remedy=f"give one for each of {', '.join(names)}, in this order",
        )
    return torch.tensor(chosen, dtype=torch.float32)


def _ratio(card: Card, name: str, greatest: float) -> float:
    """Negatives by positives among the train volumes; 1 for a label that none of them shows."""
    counts = card.label_counts.get(name, {}).get("train")
    if counts is None or not counts.positive:
        return 1.0
    return min(max(counts.negative / counts.positive, 1 / greatest), greatest)
