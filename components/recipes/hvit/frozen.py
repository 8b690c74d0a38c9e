"""The frozen work of a phase: the backbone up to its first layer that trains, and what DFCA attends to."""

from components.core.config import canonical
from components.core.engine.task import Features, Prefix
from components.core.models.tower import BACKBONE, frozen_layers, layer_parts
from components.recipes.hvit.model import HVit, Scores
from components.recipes.hvit.model_config import ModelConfig

IMAGE, DERIVED = "image", "second_stream"


def frozen_prefixes(model: HVit, config: ModelConfig, frozen: frozenset[str]) -> list[Prefix]:
    """`backbone:K`, what enters layer K (the map, if K is their number), and `second_stream` beside it.

    Where the backbone's first layer trains, nothing is worth keeping: the picture itself, `image`, is all there is.
    """
    parts, end = layer_parts(model.backbone), frozen_layers(model.backbone, frozen)
    if end == 0:
        return [Prefix(IMAGE, (), frozenset({IMAGE}), lambda batch: batch[IMAGE], kept=False)]
    found = [
        Prefix(
            name=f"{BACKBONE}:{end}",
            parts=tuple(parts[:end]),
            fields=frozenset({IMAGE}),
            compute=lambda batch: model.backbone.entering(batch[IMAGE], end),
            signature=canonical([config.backbone.model_dump(mode="json"), config.image_size]),
        )
    ]
    second = model.second_stream
    if second is not None:
        found.append(
            Prefix(
                name=DERIVED,
                parts=(),
                fields=frozenset({IMAGE}),
                compute=lambda batch: second.derive(batch[IMAGE]),
                signature=canonical([config.second_stream.model_dump(mode="json"), config.image_size]),
            )
        )
    return found


def scores_from(model: HVit, features: Features, explain: bool = False) -> Scores:
    """The model's answer from wherever the frozen work ended.

    Args:
        explain: Also tell what DFCA looked at.
    """
    for name, hidden in features.items():
        if name.startswith(f"{BACKBONE}:"):
            grown = model.backbone.leaving(hidden, int(name.removeprefix(f"{BACKBONE}:")))
            return model.of_map(grown, features.get(DERIVED), explain)
    return model.of_picture(features[IMAGE], explain)
