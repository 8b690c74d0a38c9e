"""The loss terms of hvit by name, each a value per sample, also of samples whose labels are mixed."""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from components.core.data.card import Card
from components.core.engine.task import Batch
from components.core.errors import BadInput
from components.core.losses.focal_classes import focal_classes_loss
from components.core.losses.smoothed_cross_entropy import smoothed_cross_entropy_loss
from components.core.losses.weights import of_both_labels
from components.recipes.hvit.objectives import Objectives

Term = Callable[[Tensor, Tensor, Objectives, Tensor | None], Tensor]
"""(logits [b, k], class of each sample [b], constants, weight by class [k] or None) to [b]."""

TERMS: Mapping[str, Term] = {
    "ce": lambda logits, label, constants, weights: smoothed_cross_entropy_loss(
        logits, label, constants.smoothing, weights
    ),
    "focal": lambda logits, label, constants, weights: focal_classes_loss(logits, label, constants.gamma, weights),
}
"""Every term a phase may weigh."""


def loss_terms(
    logits: Float[Tensor, "b k"],
    batch: Batch,
    losses: Mapping[str, float],
    constants: Objectives,
    weights: Float[Tensor, "k"] | None,
) -> dict[str, Float[Tensor, "b"]]:
    """Weighted terms of a batch.

    Args:
        batch: Holds `label` [b]; of mixed samples also `label:partner` [b] and `mix` [b], the weight m of their own
            label: a term is then m L(own) + (1 - m) L(partner), target by target.
        losses: Weights by term.
        constants: Constants of the terms.
        weights: Factor by class, on every target by itself.
    """
    factors = None if weights is None else weights.to(logits.device)
    chosen = {name: weight for name, weight in losses.items() if weight > 0}

    def terms(label: Int64[Tensor, "b"]) -> dict[str, Float[Tensor, "b"]]:
        return {name: weight * TERMS[name](logits, label, constants, factors) for name, weight in chosen.items()}

    return of_both_labels(batch, "label", terms)


def class_weights(constants: Objectives, classes: Sequence[str], card: Card) -> Float[Tensor, "k"] | None:
    """Factor on each class's losses; None where all weigh alike.

    `balanced` gives n / (k n_c), n_c the class's cases in the train split as the card counts them: every class then
    weighs the same in all, and the mean weight over the train split is 1.

    Raises:
        BadInput: A list of weights is of another length than the classes.
    """
    chosen = constants.class_weights
    if chosen == "none":
        return None
    if chosen == "balanced":
        counts = [card.counts.get("train", {}).get(name, 0) for name in classes]
        total = sum(counts)
        return torch.tensor([total / (len(classes) * count) if count else 0.0 for count in counts])
    if len(chosen) != len(classes):
        raise BadInput(
            f"{len(chosen)} class weights for {len(classes)} classes",
            where="recipe.model.objectives.class_weights",
            remedy=f"give one for each of {', '.join(classes)}, in this order",
        )
    return torch.tensor(chosen, dtype=torch.float32)
