"""CtNet: slices to maps, attention, vectors; the vectors of a volume's slices to the scores of its labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from components.core.errors import BadInput
from components.core.models.backbone import Backbone
from components.core.models.tower import backbone_parts
from components.recipes.ct_abnormality.aggregation import Aggregation, Scores
from components.recipes.ct_abnormality.fusion import PyramidFusion
from components.recipes.ct_abnormality.model_config import ModelConfig

BEHIND = 0xC7AB
"""Tells the seed of what stands behind the backbone from the backbone's own."""


@dataclass(frozen=True)
class Trace:
    """What one slice becomes on its way through the backbone.

    Attributes:
        shapes: Of what layer k is given, without the batch, for k from 0 to the number of layers.
        levels: Number of the last layer of each group that is fused, by group, ascending.
        widths: Channels of the maps that leave those.
    """

    shapes: Sequence[tuple[int, ...]]
    levels: Sequence[int]
    widths: Sequence[int]


class CtNet(nn.Module):
    """The whole model; parts are separate modules, so that phases can train them apart.

    Legend: n = slices of a volume, s = image size, [_, d, h, w] = map of the backbone, e = length of a slice's vector,
    l = labels, [_, q, g, g] = earlier maps to be fused, on
    the grid of the last one.

    Args:
        trace: What the backbone was seen to do.
        attention: On the map of each slice.
        fusion: Adds earlier maps to it; None adds none.
        pool: `mean`, `max` or `both`.
    """

    def __init__(
        self,
        backbone: Backbone,
        trace: Trace,
        attention: nn.Module,
        head: Aggregation,
        pool: str,
        fusion: PyramidFusion | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.trace = trace
        self.fusion = fusion
        self.attention = attention
        self.pool = pool
        self.head = head

    def forward(self, image: Float[Tensor, "b n 3 s s"]) -> Float[Tensor, "b l"]:
        """Scores of the labels before the sigmoid, of slices in [0, 1]."""
        return self.of_slices(image).logits

    def of_slices(self, image: Float[Tensor, "b n 3 s s"]) -> Scores:
        """What it says of volumes, given as slices in [0, 1]."""
        return self.of_hidden(self.entering(image, 0), 0)

    def entering(self, image: Float[Tensor, "b n 3 s s"], layer: int) -> Float[Tensor, "b n *d"]:
        """What a layer of the backbone is given of each slice."""
        return _by_slice(self.backbone.entering(image.flatten(0, 1), layer), image)

    def gathered(self, image: Float[Tensor, "b n 3 s s"], layer: int) -> Float[Tensor, "b n q g g"]:
        """The maps to be fused that are made before a layer, on the grid of the last map."""
        _, maps = self._through(self.backbone.entering(image.flatten(0, 1), 0), 0, layer)
        return _by_slice(PyramidFusion.gather(maps, self.backbone.side), image)

    def of_hidden(
        self, hidden: Float[Tensor, "b n *d"], layer: int, gathered: Float[Tensor, "b n q g g"] | None = None
    ) -> Scores:
        """What it says of volumes, given as what a layer is given of each slice.

        Args:
            layer: Number of that layer; the number of layers, where `hidden` has left the last one.
            gathered: As `gathered` gives it for the same layer; None where no map to be fused is made before it.
        """
        scores: Scores = self.head(self.vectors(hidden, layer, gathered))
        return scores

    def vectors(
        self, hidden: Float[Tensor, "b n *d"], layer: int, gathered: Float[Tensor, "b n q g g"] | None = None
    ) -> Float[Tensor, "b n e"]:
        """The vector of each slice; arguments as of `of_hidden`."""
        flat, maps = self._through(hidden.flatten(0, 1), layer, len(self.backbone.layers))
        tokens = self.backbone.as_map(flat)
        if self.fusion is not None:
            levels = [] if gathered is None else [gathered.flatten(0, 1)]
            levels += [PyramidFusion.gather(maps, self.backbone.side)] if maps else []
            tokens = self.fusion(tokens, torch.cat(levels, dim=1))
        return _by_slice(self._pooled(self.attention(tokens)), hidden)

    def _through(self, hidden: Tensor, start: int, stop: int) -> tuple[Tensor, list[Tensor]]:
        """Run the backbone's layers from `start` to `stop`; also the maps to be fused that are made on the way."""
        maps: list[Tensor] = []
        for last in [level for level in self.trace.levels if start <= level < stop]:
            hidden = self.backbone.through(hidden, start, last + 1)
            maps.append(self.backbone.as_map(hidden))
            start = last + 1
        return self.backbone.through(hidden, start, stop), maps

    def _pooled(self, tokens: Float[Tensor, "b d h w"]) -> Float[Tensor, "b e"]:
        mean, greatest = tokens.mean(dim=(2, 3)), tokens.amax(dim=(2, 3))
        return {"mean": mean, "max": greatest}.get(self.pool, torch.cat([mean, greatest], dim=1))


def _by_slice(flat: Tensor, like: Tensor) -> Tensor:
    """What was computed of all slices [b n, ...], by volume and slice again [b, n, ...]."""
    return flat.reshape(*like.shape[:2], *flat.shape[1:])


def build_model(config: ModelConfig, labels: int, seed: int, sizes: Sequence[int] = ()) -> CtNet:
    """Build the whole model on the CPU: a pure function of the values, the number of labels and the seed.

    The backbone comes first and from a generator of its own: its initial weights depend on nothing else of the model.

    Args:
        sizes: Other sides of slices that it must be able to see.

    Raises:
        BadInput: Naming the key: an unknown backbone, weights that do not fit, a size or a group that it has not.
    """
    backbone = config.backbone.build(config.image_size, seed)
    trace = _traced(backbone, config.multiscale)
    _check_sizes(backbone, sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed ^ BEHIND)
        length = backbone.width * (2 if config.pool == "both" else 1)
        head = config.aggregation.build(length, max(labels, 1))  # without labels there is a backbone to pretrain
        attention = config.attention.build(backbone.width)
        fusion = PyramidFusion(trace.widths, backbone.width) if trace.levels else None
    return CtNet(backbone, trace, attention, head, config.pool, fusion)


@torch.no_grad()
def _traced(backbone: Backbone, groups: Sequence[str]) -> Trace:
    levels: list[int] = []
    for group in groups:
        members = [number for number, layer in enumerate(backbone.layers) if layer.name.startswith(f"{group}.")]
        if not members:
            raise BadInput(
                f"this backbone has no layers of the group {group}",
                where="recipe.model.multiscale",
                remedy=f"its layers are {', '.join(layer.name for layer in backbone.layers)}",
            )
        levels.append(members[-1])
    training = backbone.training
    backbone.eval()
    hidden = backbone.entering(torch.zeros(1, 3, backbone.image_size, backbone.image_size), 0)
    shapes, widths = [tuple(hidden.shape[1:])], []
    for number in range(len(backbone.layers)):
        hidden = backbone.through(hidden, number, number + 1)
        shapes.append(tuple(hidden.shape[1:]))
        widths += [backbone.as_map(hidden).shape[1]] if number in levels else []
    backbone.train(training)
    return Trace(shapes, sorted(levels), widths)


@torch.no_grad()
def _check_sizes(backbone: Backbone, sizes: Sequence[int]) -> None:
    training = backbone.training
    backbone.eval()
    for size in sizes:
        try:
            backbone.forward_map(torch.zeros(1, 3, size, size))
        except (AssertionError, ValueError, RuntimeError) as error:
            raise BadInput(
                f"the backbone cannot take slices of {size} px after it was built for {backbone.image_size}: {error}",
                where="recipe.augment.sizes",
                remedy="leave progressive resizing out, or take a convolutional backbone",
            ) from error
    backbone.train(training)


def model_parts(model: CtNet) -> dict[str, list[str]]:
    """Layer groups from head to stem: `head`, `attention` (with the fusion before it), the backbone's.

    Without attention and fusion their group is empty, so that the same phases serve every model.
    """
    modules = {"fusion": model.fusion, "attention": model.attention}
    filled = [name for name, module in modules.items() if module is not None and any(True for _ in module.parameters())]
    return {"head": ["head"], "attention": filled, **backbone_parts(model.backbone)}


def megabytes(shape: Sequence[int], slices: int) -> float:
    """Size of float32 features of one volume, 10^6 bytes."""
    return 4e-6 * math.prod(shape) * slices
