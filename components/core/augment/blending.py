"""Mixing the tensors of a batch as a pairing says."""

from collections.abc import Collection, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from components.core.augment.mixing import Pairing

PARTNER = ":partner"
"""Ending of the name of a field that holds each sample's partner's value."""

WEIGHT = "mix"
"""Field [b], float32: weight of the sample's own label; the partner's has the rest."""

IMAGE_DIMS = 4
"""[b, c, h, w]; volumes [b, n, c, h, w] have more."""

Batch = dict[str, Tensor]


def pair_up(batch: Batch, pairing: Pairing, positions: Sequence[int], own: int) -> Batch:
    """The first samples of a batch, each beside its partner: `f` and `f:partner` for every field.

    Args:
        batch: Named tensors, first dimension the sample.
        positions: Place in the window of each sample of the batch.
        own: How many to give back; the batch holds the partners of all of them.
    """
    places = {position: place for place, position in enumerate(positions)}
    mates = torch.tensor([places[int(pairing.partners[position])] for position in positions[:own]], dtype=torch.int64)
    paired = {name: value[:own] for name, value in batch.items()}
    return {**paired, **{f"{name}{PARTNER}": value[mates] for name, value in batch.items()}}


def mix_pixels(paired: Batch, pairing: Pairing, positions: Sequence[int], fields: Collection[str]) -> Batch:
    """Mix some fields of paired samples, and say how much of each label is the sample's own.

    Args:
        paired: From `pair_up`.
        positions: Place in the window of each sample.
        fields: Fields of floating point [b, ..., h, w] to mix; those that the batch lacks are passed over.

    Returns:
        The batch with the mixed fields in place of themselves and of their partners, and with `mix`.

    Raises:
        ValueError: There is nothing to mix, or the fields cannot be mixed alike: the recipe's `mixed` is wrong.
    """
    mixed = [name for name in sorted(fields) if name in paired]
    if not mixed:
        raise ValueError(f"none of the fields {sorted(fields)} is in the batch: labels must not be mixed alone")
    chosen = np.asarray(positions, dtype=np.int64)
    cut, (height, width) = pairing.cut[chosen], _size(paired, mixed)
    if cut.any() and not height:
        raise ValueError(f"the fields {mixed} are not pictures of one size: CutMix cannot cut the same box from them")
    boxes = pairing.boxes(height, width)[chosen]
    blend = torch.from_numpy(np.where(cut, 1.0, pairing.own[chosen])).float()
    done = {name: value for name, value in paired.items() if name.removesuffix(PARTNER) not in mixed}
    for name in mixed:
        done[name] = blended(paired[name], paired[f"{name}{PARTNER}"], blend)
        _paste(done[name], paired[f"{name}{PARTNER}"], boxes)
    done[WEIGHT] = torch.from_numpy(pairing.weights(height or 1, width or 1)[chosen]).float()
    return done


def _size(paired: Batch, mixed: Sequence[str]) -> tuple[int, int]:
    """Height and width that all mixed fields share; zeros where they share none."""
    sizes = {tuple(paired[name].shape[-2:]) if paired[name].ndim >= IMAGE_DIMS else (0, 0) for name in mixed}
    height, width = next(iter(sizes)) if len(sizes) == 1 else (0, 0)
    return height, width


def blended(own: Float[Tensor, "b *d"], other: Float[Tensor, "b *d"], weight: Float32[Tensor, "b"]) -> Tensor:
    """MixUp: weight * own + (1 - weight) * other, by sample (Zhang et al. 2018, arXiv:1710.09412, eq. of section 2)."""
    if bool((weight == 1).all()):
        return own.clone()
    share = weight.to(own.dtype).reshape(-1, *[1] * (own.ndim - 1))
    return own * share + other * (1 - share)


def _paste(picture: Float[Tensor, "b *d"], other: Float[Tensor, "b *d"], boxes: Int64[np.ndarray, "b 4"]) -> None:
    """CutMix, in place: each sample's box from its partner."""
    for sample, (top, bottom, left, right) in enumerate(boxes.tolist()):
        if bottom > top and right > left:
            picture[sample, ..., top:bottom, left:right] = other[sample, ..., top:bottom, left:right]
