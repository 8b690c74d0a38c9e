"""The tensors of an unfinished phase: captured for a checkpoint, put back on resume."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from components.core.engine.ema import WeightAverage
from components.core.errors import BadInput

Groups = dict[str, dict[str, Tensor]]
"""Tensors by name, by group: one content-addressed blob per group."""

SHOWN = 3
"""Tensors named where weights do not fit; the others are counted."""


@dataclass
class Trainee:
    """A model in training.

    Attributes:
        changing: Names of the tensors that training changes: trainable parameters, and the buffers of
            trainable parts. All others are those of the phase's start, and are not saved again.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    changing: frozenset[str]
    best: dict[str, Tensor] | None = None

    def weights(self) -> dict[str, Tensor]:
        """The changing tensors as they are trained."""
        return {name: value for name, value in _tensors(self.model).items() if name in self.changing}

    def effective(self) -> dict[str, Tensor]:
        """The changing tensors as they are validated and handed on: averages where there are some."""
        return {**self.weights(), **(self.average.shadow if self.average else {})}

    def remember_best(self) -> None:
        self.best = {name: value.detach().cpu().clone() for name, value in self.effective().items()}

    def capture(self) -> Groups:
        """References to everything a checkpoint holds."""
        groups: Groups = {"weights": self.weights(), "optimizer": optimizer_tensors(self.optimizer)}
        if self.average is not None:
            groups["average"] = self.average.shadow
        if self.best is not None:
            groups["best"] = self.best
        return groups

    def restore(self, groups: Mapping[str, Mapping[str, Tensor]], averages: int) -> None:
        """Put a checkpoint back."""
        put(self.model, groups["weights"])
        restore_optimizer(self.optimizer, groups["optimizer"])
        if self.average is not None:
            self.average.restore(groups["average"], averages)
        self.best = dict(groups["best"]) if "best" in groups else None


def put_whole(model: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Copy all of a finished model's weights into a model of the same architecture.

    Args:
        weights: By name: exactly those of `model.state_dict()`, each of the same shape.
        where: What the weights are of, for the error.

    Raises:
        BadInput: Naming the tensors that are missing, unexpected or of another shape. The model is as it was.
    """
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in weights.items()}
    problems = {
        "missing": sorted(set(wanted) - set(given)),
        "not in the model": sorted(set(given) - set(wanted)),
        "of another shape": [
            f"{name} {list(given[name])} for {list(wanted[name])}"
            for name in sorted(set(wanted) & set(given))
            if given[name] != wanted[name]
        ],
    }
    if any(problems.values()):
        lines = [f"    {_few(names)}: {kind}" for kind, names in problems.items() if names]
        raise BadInput(
            "the weights are not those of this model:\n" + "\n".join(lines),
            where=where,
            remedy="use the values of recipe.model that they were trained with, or train again with these",
        )
    put(model, weights)


def _few(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


@torch.no_grad()
def put(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Copy tensors into a model by name: any of its tensors, as a checkpoint of the same run holds them.

    Raises:
        KeyError: The model has no tensor of a name.
        ValueError: A tensor has another shape.
    """
    tensors = _tensors(model)
    for name, value in values.items():
        if tensors[name].shape != value.shape:
            raise ValueError(f"{name}: shape {tuple(value.shape)} does not fit {tuple(tensors[name].shape)}")
        tensors[name].copy_(value)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Optimiser state as `<parameter>|<slot>` tensors."""
    found: dict[str, Tensor] = {}
    for group in optimizer.param_groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            for slot, value in optimizer.state.get(parameter, {}).items():
                found[f"{name}|{slot}"] = value
    return found


def restore_optimizer(optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    """Put state back for every parameter that the optimiser has; state of others is ignored.

    Parameters that begin to train now simply have no state yet.
    """
    slots: dict[str, dict[str, Tensor]] = {}
    for key, value in saved.items():
        name, _, slot = key.rpartition("|")
        slots.setdefault(name, {})[slot] = value
    for group in optimizer.param_groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            state = slots.get(name, {})
            for slot, value in state.items():
                optimizer.state[parameter][slot] = value.to(parameter.device).clone()


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    parameters = dict(model.named_parameters(remove_duplicate=False))
    return {**parameters, **dict(model.named_buffers(remove_duplicate=False))}
