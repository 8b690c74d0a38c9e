"""What the processes of a launch tell each other about one optimiser step."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from components.core.engine.ranks import Ranks


@dataclass(frozen=True)
class Report:
    """One process's part of an optimiser step, or that of all of them.

    Attributes:
        terms: Sum over the samples of each loss term.
        scalars: Values that the recipe logs, of the last micro-batch.
        samples: Samples in that micro-batch.
        micro_batch: Micro-batch size that fitted.
    """

    terms: dict[str, float]
    scalars: dict[str, float]
    samples: int
    micro_batch: int

    def over(self, ranks: Ranks, parameters: Sequence[nn.Parameter]) -> "Report":
        """The report of all processes; afterwards the gradients of `parameters` are sums over them.

        A parameter that no process has a gradient of keeps none, so that the optimiser passes it over as in one
        process. The smallest micro-batch is everybody's from now on: it is what the checkpoint says.
        """
        given = f"{sum(1 << place for place, each in enumerate(parameters) if each.grad is not None):x}"
        told = [json.loads(text) for text in ranks.texts(json.dumps({**vars(self), "given": given}))]
        ranks.sum_in_place(_gradients(parameters, told))
        return Report(
            terms=_summed([each["terms"] for each in told], [1] * len(told)),
            scalars=_means([each["scalars"] for each in told], [each["samples"] for each in told]),
            samples=sum(each["samples"] for each in told),
            micro_batch=min(each["micro_batch"] for each in told),
        )


def _gradients(parameters: Sequence[nn.Parameter], told: Sequence[dict[str, Any]]) -> list[nn.Parameter]:
    """Gradients of every parameter of which some process has one; zeros where this one has none."""
    given = 0
    for each in told:
        given |= int(each["given"], 16)
    found = [parameter for place, parameter in enumerate(parameters) if given >> place & 1]
    for parameter in found:
        if parameter.grad is None:
            parameter.grad = parameter.new_zeros(parameter.shape)
    return [parameter.grad for parameter in found]  # type: ignore[misc]


def _summed(parts: Sequence[dict[str, float]], weights: Sequence[int]) -> dict[str, float]:
    """Weighted sums by name, over the parts that have the name."""
    names = dict.fromkeys(name for part in parts for name in part)
    pairs = list(zip(parts, weights, strict=True))
    return {name: sum(part[name] * weight for part, weight in pairs if name in part) for name in names}


def _means(parts: Sequence[dict[str, float]], weights: Sequence[int]) -> dict[str, float]:
    counts = _summed([dict.fromkeys(part, 1.0) for part in parts], weights)
    return {name: value / counts[name] for name, value in _summed(parts, weights).items()}
