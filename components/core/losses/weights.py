"""Weights of loss terms as phases give them, and terms of samples whose labels are mixed."""

import difflib
from collections.abc import Callable, Collection, Mapping

from jaxtyping import Float
from torch import Tensor

from components.core.augment.blending import PARTNER, WEIGHT
from components.core.errors import BadInput


def check_weights(losses: Mapping[str, float], known: Collection[str]) -> None:
    """Refuse unknown terms and negative weights.

    Args:
        losses: Weights by term.
        known: Every term there is.

    Raises:
        BadInput: Naming the term.
    """
    for name, weight in losses.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise BadInput(f"unknown loss {name!r}{hint}", where="losses", remedy=f"choose from {sorted(known)}")
        if weight < 0:
            raise BadInput(f"the weight of {name!r} is {weight}", where=f"losses.{name}", remedy="use 0 or more")


def require_a_loss(losses: Mapping[str, float], known: Collection[str]) -> None:
    """Refuse weights that leave nothing to learn from. Raises BadInput."""
    if not any(losses.values()):
        raise BadInput("every loss weighs 0", where="losses", remedy=f"weigh one of {sorted(known)} above 0")


def of_both_labels(
    batch: Mapping[str, Tensor], field: str, terms: Callable[[Tensor], dict[str, Float[Tensor, "b"]]]
) -> dict[str, Float[Tensor, "b"]]:
    """Terms of a batch, whose samples may be mixed: m L(own) + (1 - m) L(partner), target by target.

    Args:
        batch: Holds `field`; of mixed samples also `field:partner` and `mix` [b], the weight m of their own label.
        field: Name of the labels.
        terms: Labels to terms by name.
    """
    own = terms(batch[field])
    if WEIGHT not in batch:
        return own
    share = batch[WEIGHT]
    other = terms(batch[f"{field}{PARTNER}"])
    return {name: share * own[name] + (1 - share) * other[name] for name in own}
