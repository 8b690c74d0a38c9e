"""Exponential moving average of the trainable weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class WeightAverage:
    """Shadow copies of parameters: s <- d s + (1 - d) p with d = min(decay, (1 + t) / (10 + t)).

    The warm-up of the decay lets the average follow the weights in the first steps. Frozen parameters need
    no shadow, and buffers are used as they are.

    Args:
        updates: Steps that earlier phases have done of the warm-up (t at the start).
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float, updates: int = 0) -> None:
        self.decay = decay
        self.updates = updates
        self._parameters = dict(parameters)
        self.shadow = {name: value.detach().clone() for name, value in parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Follow the parameters by one optimiser step."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        shadows = [self.shadow[name] for name in self._parameters]
        torch._foreach_lerp_(shadows, [parameter.detach() for parameter in self._parameters.values()], 1.0 - decay)

    @torch.no_grad()
    def restore(self, shadow: Mapping[str, Tensor], updates: int) -> None:
        """Continue from a checkpoint."""
        for name, value in self.shadow.items():
            value.copy_(shadow[name])
        self.updates = updates

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model's parameters are the averages inside the block, and the trained ones again after it."""
        trained = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        self._copy(self.shadow)
        try:
            yield
        finally:
            self._copy(trained)

    @torch.no_grad()
    def _copy(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(values[name])
