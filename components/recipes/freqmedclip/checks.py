"""What a phase of freqmedclip may not ask: told before anything is computed."""

from collections.abc import Collection, Mapping, Sequence

from components.core.errors import BadInput
from components.core.losses.weights import check_weights
from components.recipes.freqmedclip.terms import TERMS, terms_needing

TAUGHT = ("sam.decoder", "sam.neck", "sam.prompt")
"""Parts of SAM that must train where its weights are random; its trunk stays frozen always."""


def check_losses(
    losses: Mapping[str, float], *, captions: Sequence[str], sam_is_random: bool, trainable: Collection[str]
) -> None:
    """Refuse unknown terms, negative weights, a contrastive term without anything to contrast, and SAM's noise.

    Args:
        losses: Weights by term.
        captions: Distinct captions of the train split.
        trainable: The parts that train.

    Raises:
        BadInput: Naming the term, or the parts that would have to train.
    """
    check_weights(losses, TERMS)
    if terms_needing(losses, "captions") and len(captions) < 2:
        raise BadInput(
            f"the contrastive loss needs two distinct captions, the train split has {len(captions)}",
            where="losses.contrastive",
            remedy="give captions that differ, or weigh the loss 0",
        )
    if sam_is_random and terms_needing(losses, "masks"):
        _require_taught_sam(terms_needing(losses, "masks"), trainable)


def _require_taught_sam(terms: Sequence[str], trainable: Collection[str]) -> None:
    """The masks of a random SAM are noise unless the phase teaches every part that makes them of its embedding."""
    frozen = [part for part in TAUGHT if part not in trainable]
    if frozen:
        raise BadInput(
            f"SAM has random weights and {', '.join(frozen)} would stay so, so that {', '.join(terms)} teach noise",
            where="trainable",
            remedy=f"train {', '.join(frozen)} too, use a pretrained SAM, or weigh these losses 0",
        )
