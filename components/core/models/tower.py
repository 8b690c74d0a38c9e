"""A backbone inside a recipe's model: its layers as parts, and the encoder that it is."""

from components.core.engine.task import Encoder
from components.core.models.backbone import Backbone
from components.core.models.layer_groups import BACKBONE_GROUPS

BACKBONE = "backbone"
"""Name of the backbone in a model; the parts that are its layers begin so."""


def backbone_parts(tower: Backbone) -> dict[str, list[str]]:
    """Its layers from map to stem, each as a part: `backbone.stage4.1` to prefixes of names in a model."""
    return {
        part: [f"{BACKBONE}.{prefix}" for prefix in layer.prefixes]
        for part, layer in zip(reversed(layer_parts(tower)), reversed(tower.layers), strict=True)
    }


def layer_parts(tower: Backbone) -> list[str]:
    """Names of the parts that its layers are, from stem to map."""
    return [f"{BACKBONE}.{layer.name}" for layer in tower.layers]


def frozen_layers(tower: Backbone, frozen: frozenset[str]) -> int:
    """How many of its layers, from the stem on, are frozen without one that trains before them."""
    parts = layer_parts(tower)
    return next((number for number, part in enumerate(parts) if part not in frozen), len(parts))


def backbone_groups(tower: Backbone) -> dict[str, list[str]]:
    """Its parts by group of layers, from map to stem; a group that it lacks is empty."""
    return {
        group: [part for part in reversed(layer_parts(tower)) if part.startswith(f"{BACKBONE}.{group}.")]
        for group in BACKBONE_GROUPS
    }


def picture_encoder(tower: Backbone) -> Encoder:
    """The backbone up to its pooled map: the same tensors, whichever recipe holds it."""
    return Encoder(module=tower, embed=tower.embed, size=tower.image_size, width=tower.width)
