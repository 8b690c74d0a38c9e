"""Layer groups: which part of a model owns a tensor, which parts train, and at which rate."""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from components.core.engine.phase import Phase
from components.core.errors import BadInput

Parts = Mapping[str, list[str]]


def owners(model: nn.Module, parts: Parts) -> dict[str, str]:
    """Name of the owning part by name of parameter or buffer.

    Raises:
        ValueError: A tensor has no part or several: the recipe's `parts` is wrong.
    """
    owned: dict[str, str] = {}
    for name in tensor_names(model):
        found = [part for part, roots in parts.items() if any(_below(name, root) for root in roots)]
        if len(found) != 1:
            raise ValueError(f"tensor {name!r} must belong to one part, belongs to {found or 'none'}")
        owned[name] = found[0]
    return owned


def tensor_names(model: nn.Module) -> list[str]:
    """Names of all parameters and buffers, also of buffers that are not saved."""
    return [name for name, _ in model.named_parameters()] + [name for name, _ in model.named_buffers()]


def _below(name: str, root: str) -> bool:
    return name == root or name.startswith(root + ".")


def rates_by_part(parts: Iterable[str], trainable: Mapping[str, float]) -> dict[str, float]:
    """Learning rate by trainable part, in the order of `parts`.

    Of several patterns that match a part, the one with the most literal characters wins. Their order says nothing:
    values that pass through JSON keep none.

    Raises:
        BadInput: A pattern matches no part, or two of different rates fit a part equally well.
    """
    names = list(parts)
    rates: dict[str, float] = {}
    decided: dict[str, str] = {}
    for pattern, rate in sorted(trainable.items(), key=lambda pair: _literals(pair[0])):
        matched = [name for name in names if fnmatchcase(name, pattern)]
        if not matched:
            raise BadInput(
                f"the pattern {pattern!r} matches no part of the model",
                where=f"trainable: {pattern}",
                remedy=f"the parts are {', '.join(names)}",
            )
        for name in matched:
            _refuse_tie(name, decided.get(name), pattern, rates.get(name) != rate)
            rates[name], decided[name] = rate, pattern
    return {name: rates[name] for name in names if name in rates}


def layer_rates(model: nn.Module, owned: Mapping[str, str], parts: Iterable[str], phase: Phase) -> dict[str, float]:
    """Learning rate by trainable part, from head to stem: its own times layer_decay ** depth (BEiT, arXiv:2106.08254).

    A part's depth is its place, from 0, in the order head to stem among the parts that train; parts without
    parameters do not count. timm's `param_groups_layer_decay` counts over all layers of the model instead, frozen ones
    too; where a whole model trains and its parts are the head, the blocks one by one (the final norm with the last)
    and the embedding, the two are the same.

    Args:
        owned: Owning part by tensor name.
        parts: From head to stem.

    Raises:
        BadInput: A pattern matches no part, or two of different rates fit a part equally well.
    """
    rates = rates_by_part(parts, phase.trainable)
    filled = {owned[name] for name, _ in model.named_parameters()}
    depths = {part: depth for depth, part in enumerate(part for part in rates if part in filled)}
    return {part: rate * phase.layer_decay ** depths.get(part, 0) for part, rate in rates.items()}


def _literals(pattern: str) -> int:
    """How closely a pattern fits: its characters that match only themselves."""
    return len(re.sub(r"\[[^]]*]|[*?]", "", pattern))


def _refuse_tie(part: str, before: str | None, pattern: str, differs: bool) -> None:
    if before is not None and differs and _literals(before) == _literals(pattern):
        raise BadInput(
            f"the patterns {before!r} and {pattern!r} fit the part {part!r} equally well, at different rates",
            where=f"trainable: {pattern}",
            remedy="name the part itself, or lengthen the pattern that is meant",
        )


def freeze(model: nn.Module, owned: Mapping[str, str], trainable: Iterable[str]) -> None:
    """Let the trainable parts' parameters require gradients, and no others."""
    chosen = set(trainable)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(owned[name] in chosen)
        parameter.grad = None


def set_train_mode(model: nn.Module) -> None:
    """Train mode for modules whose parameters all train; eval mode for everything that holds a frozen one.

    Frozen parts therefore compute what they would compute at inference: no dropout, no batch statistics.
    """
    model.eval()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and all(parameter.requires_grad for parameter in parameters):
            module.train()


def optimizer_groups(
    model: nn.Module, owned: Mapping[str, str], rates: Mapping[str, float], weight_decay: float
) -> list[dict[str, Any]]:
    """Parameter groups by part; vectors and scalars (norms, biases, gates) get no weight decay."""
    groups: list[dict[str, Any]] = []
    for part, rate in rates.items():
        members = [(n, p) for n, p in model.named_parameters() if owned[n] == part]
        for decays in (True, False):
            chosen = [(n, p) for n, p in members if (p.ndim > 1) is decays]
            if chosen:
                groups.append(
                    {
                        "params": [p for _, p in chosen],
                        "names": [n for n, _ in chosen],
                        "part": part,
                        "lr": rate,
                        "base_lr": rate,
                        "weight_decay": weight_decay if decays else 0.0,
                    }
                )
    return groups
