"""The frozen work of a phase: the backbone up to its first layer that trains, or all that stands before the head."""

import logging
from collections.abc import Callable

from torch import Tensor

from components.core.config import canonical
from components.core.engine.task import Batch, Features, Prefix
from components.core.models.tower import BACKBONE, frozen_layers, layer_parts
from components.recipes.ct_abnormality.aggregation import Scores
from components.recipes.ct_abnormality.model import CtNet, megabytes
from components.recipes.ct_abnormality.model_config import ModelConfig

IMAGE, GATHERED, VECTORS = "image", "gathered", "vectors"
ATTENTION = "attention"

log = logging.getLogger(__name__)


def frozen_prefixes(model: CtNet, config: ModelConfig, frozen: frozenset[str]) -> list[Prefix]:
    """What enters the first layer of the backbone that trains, and the earlier maps to be fused, by slice.

    Where all of the backbone and the attention are frozen (or there is no attention) the vectors of the slices are all
    that is kept. Where the first layer trains, or what would be kept is too large (`keep_mb`), there is only the
    picture: frozen layers are then part of every step, without gradients.
    """
    parts, end = layer_parts(model.backbone), frozen_layers(model.backbone, frozen)
    if end == len(parts) and _attention_is_still(model, frozen):
        width = model.head.linear.in_features
        held = (*parts, ATTENTION)
        return _kept_or_pictures(
            config, [(VECTORS, held, (width,), lambda batch: model.vectors(model.entering(batch[IMAGE], 0), 0))]
        )
    if end == 0:
        return [_pictures()]
    shape = model.trace.shapes[end]
    found: list[Piece] = [
        (f"{BACKBONE}:{end}", tuple(parts[:end]), shape, lambda batch: model.entering(batch[IMAGE], end))
    ]
    early = [width for level, width in zip(model.trace.levels, model.trace.widths, strict=True) if level < end]
    if early:
        side = model.backbone.side
        grid = (sum(early), side, side)
        found.append((GATHERED, tuple(parts[:end]), grid, lambda batch: model.gathered(batch[IMAGE], end)))
    return _kept_or_pictures(config, found)


Piece = tuple[str, tuple[str, ...], tuple[int, ...], Callable[[Batch], Tensor]]
"""Name, parts, shape by slice and computation of something that could be kept."""


def _attention_is_still(model: CtNet, frozen: frozenset[str]) -> bool:
    learns = any(True for module in (model.attention, model.fusion) if module for _ in module.parameters())
    return not learns or ATTENTION in frozen


def _kept_or_pictures(config: ModelConfig, pieces: list[Piece]) -> list[Prefix]:
    size = sum(megabytes(shape, config.slices) for _, _, shape, _ in pieces)
    told = ", ".join(name for name, _, _, _ in pieces)
    if size > config.keep_mb:
        log.info("%s: %.1f MB per volume and view, above keep_mb = %g: not kept", told, size, config.keep_mb)
        return [_pictures()]
    log.info("%s: %.2f MB per volume and view", told, size)
    values = [config.backbone, config.attention]
    signature = canonical([*(value.model_dump(mode="json") for value in values), _rest(config)])
    return [Prefix(name, parts, frozenset({IMAGE}), compute, signature=signature) for name, parts, _, compute in pieces]


def _rest(config: ModelConfig) -> list[object]:
    return [config.image_size, config.slices, list(config.multiscale), config.pool]


def _pictures() -> Prefix:
    return Prefix(IMAGE, (), frozenset({IMAGE}), lambda batch: batch[IMAGE], kept=False)


def scores_from(model: CtNet, features: Features) -> Scores:
    """The model's answer from wherever the frozen work ended."""
    if VECTORS in features:
        scores: Scores = model.head(features[VECTORS])
        return scores
    for name, hidden in features.items():
        if name.startswith(f"{BACKBONE}:"):
            return model.of_hidden(hidden, int(name.removeprefix(f"{BACKBONE}:")), features.get(GATHERED))
    return model.of_slices(features[IMAGE])
