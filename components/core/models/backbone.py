"""A timm model as a chain of layers from picture to map."""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from components.core.models.backbone_layers import Layer, side


class Backbone(nn.Module):
    """Pictures [b, 3, s, s] in [0, 1] to a map [b, c, h, w] before pooling.

    Its own tensors are those of the timm model, below `trunk`, and the normalisation.

    Args:
        trunk: A timm model without classifier.
        layers: Its layers from stem to map, as found by `find_layers` (prefixes relative to the trunk).
        mean: Of red, green and blue, by which the model wants its pictures normalised.
        std: The same.
        image_size: Side of the pictures, pixels.
        shape: What `forward_features` gives for one picture: [1, c, h, w], [1, h, w, c] or [1, n, c].
        channels_last: Is a four-dimensional output [1, h, w, c]?
        grad_checkpointing: Compute what is inside the layers again in the backward pass.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        trunk: nn.Module,
        layers: Sequence[Layer],
        *,
        mean: Sequence[float],
        std: Sequence[float],
        image_size: int,
        shape: Sequence[int],
        channels_last: bool,
        grad_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)
        below = [tuple(f"trunk.{prefix}" for prefix in layer.prefixes) for layer in layers]
        below[0] = ("mean", "std", *below[0])
        self.layers = [Layer(layer.name, prefixes, layer.steps) for layer, prefixes in zip(layers, below, strict=True)]
        self.image_size = image_size
        self.channels_last = channels_last
        self.prefix_tokens = prefix_tokens(trunk) if len(shape) == 3 else 0
        self.width = shape[1] if len(shape) == 4 and not channels_last else shape[-1]
        found = side(shape, self.prefix_tokens)
        if found is None:
            raise ValueError(f"{list(shape)} is no square map")
        self.side = found
        self.grad_checkpointing = grad_checkpointing

    @property
    def understood(self) -> bool:
        """Was its structure found, so that layers can be frozen apart from each other?"""
        return len(self.layers) > 1

    def forward(self, x: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b c h w"]:
        """The same as `forward_map`."""
        return self.forward_map(x)

    def forward_map(self, x: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b c h w"]:
        """Pictures in [0, 1] to the map before pooling."""
        if self.grad_checkpointing and torch.is_grad_enabled():
            return self.leaving(self.normalise(x), 0)
        return self.as_map(self.trunk.forward_features(self.normalise(x)))  # type: ignore[operator]

    def embed(self, x: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b c"]:
        """Pictures in [0, 1] to the mean of the map."""
        return self.forward_map(x).mean(dim=(2, 3))

    def entering(self, x: Float[Tensor, "b 3 s s"], k: int) -> Tensor:
        """Pictures in [0, 1] to what layer `k` is given: the output of the `k` layers before it.

        The form is the model's own (maps, channels-last maps, tokens); the first dimension is the sample.
        """
        return self.through(self.normalise(x), 0, k)

    def leaving(self, hidden: Tensor, k: int) -> Float[Tensor, "b c h w"]:
        """What layer `k` is given to the map: layer `k` and those after it."""
        return self.as_map(self.through(hidden, k, len(self.layers)))

    def through(self, hidden: Tensor, start: int, stop: int) -> Tensor:
        """What layer `start` is given to what layer `stop` is given: the first of them and those between."""
        for layer in self.layers[start:stop]:
            hidden = self._run(layer, hidden)
        return hidden

    def normalise(self, x: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 3 s s"]:
        """Pictures in [0, 1] as the model wants them."""
        return (x - self.mean) / self.std

    def _run(self, layer: Layer, hidden: Tensor) -> Tensor:
        if not (self.grad_checkpointing and torch.is_grad_enabled()):
            return layer(hidden)
        contexts = partial(_recomputing, self)
        output: Tensor = checkpoint(layer, hidden, use_reentrant=False, context_fn=contexts)
        return output

    def as_map(self, hidden: Tensor) -> Float[Tensor, "b c h w"]:
        """What leaves a layer, of whatever form and resolution, as a map. Tokens must be those of a square grid."""
        if hidden.ndim == 3:
            tokens = hidden[:, self.prefix_tokens :]
            grid = math.isqrt(tokens.shape[1])
            return tokens.transpose(1, 2).reshape(len(tokens), tokens.shape[2], grid, grid)
        return hidden.permute(0, 3, 1, 2) if self.channels_last else hidden


def prefix_tokens(trunk: nn.Module) -> int:
    """Tokens before those of the grid (class, registers)."""
    return int(getattr(trunk, "num_prefix_tokens", 0))


def _recomputing(model: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _statistics_kept(model)


@contextmanager
def _statistics_kept(model: nn.Module) -> Iterator[None]:
    """Batch norms that count a batch which they have already counted: their statistics stay as they are."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    before = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        norm.num_batches_tracked = None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, momentum, count in before:
            norm.momentum, norm.num_batches_tracked = momentum, count
