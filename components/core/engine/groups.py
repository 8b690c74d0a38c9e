"""Layer groups: which part of a model owns a tensor, which parts train, and at which rate."""

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from torch import nn

from components.core.engine.phase import Phase
from components.core.errors import BadInput
from components.core.models.layer_groups import PREFIX

Parts = Mapping[str, list[str]]

Groups = Mapping[str, list[str]]
"""Parts by layer group, from head to stem."""


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


def rates_by_part(
    parts: Iterable[str], trainable: Mapping[str, float], groups: Groups = MappingProxyType({})
) -> dict[str, float]:
    """Learning rate by trainable part, in the order of `parts`.

    Of several keys that match a part, its own name wins, then its group, then the pattern with the most literal
    characters. The order of keys says nothing: values that pass through JSON keep none.

    Args:
        groups: The model's layer groups, which keys can name (`group:stage4`).

    Raises:
        BadInput: A pattern matches no part, a group is none of the model's, or two patterns of different rates fit a
            part equally well.
    """
    names = list(parts)
    rates: dict[str, float] = {}
    decided: dict[str, str] = {}
    for key, rate in sorted(trainable.items(), key=lambda pair: _closeness(pair[0])):
        for name in parts_of(key, names, groups):
            _refuse_tie(name, decided.get(name), key, rates.get(name) != rate)
            rates[name], decided[name] = rate, key
    return {name: rates[name] for name in names if name in rates}


def parts_of(key: str, parts: Sequence[str], groups: Groups) -> list[str]:
    """The parts that a key of `Phase.trainable` means: those of a layer group, which may be none, or of a pattern.

    Raises:
        BadInput: A pattern matches no part, or a group is none of the model's.
    """
    if key.startswith(PREFIX):
        group = key.removeprefix(PREFIX)
        if group not in groups:
            raise BadInput(
                f"the model has no layer group {group!r}",
                where=f"trainable: {key}",
                remedy=f"the groups are {', '.join(groups)}" if groups else "this model has none: name its parts",
            )
        return [name for name in parts if name in groups[group]]
    matched = [name for name in parts if fnmatchcase(name, key)]
    if not matched:
        raise BadInput(
            f"the pattern {key!r} matches no part of the model",
            where=f"trainable: {key}",
            remedy=f"the parts are {', '.join(parts)}",
        )
    return matched


def layer_rates(
    model: nn.Module,
    owned: Mapping[str, str],
    parts: Iterable[str],
    phase: Phase,
    groups: Groups = MappingProxyType({}),
) -> dict[str, float]:
    """Learning rate by trainable part, from head to stem: its own times layer_decay ** depth (BEiT, arXiv:2106.08254).

    A part's depth is its place, from 0, in the order head to stem among the parts that train; parts without
    parameters do not count. timm's `param_groups_layer_decay` counts over all layers of the model instead, frozen ones
    too; where a whole model trains and its parts are the head, the blocks one by one (the final norm with the last)
    and the embedding, the two are the same.

    Args:
        owned: Owning part by tensor name.
        parts: From head to stem.
        groups: The model's layer groups, which keys can name.

    Raises:
        BadInput: A key means no part, or two of different rates fit a part equally well.
    """
    rates = rates_by_part(parts, phase.trainable, groups)
    filled = {owned[name] for name, _ in model.named_parameters()}
    depths = {part: depth for depth, part in enumerate(part for part in rates if part in filled)}
    return {part: rate * phase.layer_decay ** depths.get(part, 0) for part, rate in rates.items()}


def _closeness(key: str) -> tuple[int, int]:
    """How closely a key fits: a name above a group above a pattern, and patterns by their literal characters."""
    if key.startswith(PREFIX):
        return (1, 0)
    literals = len(re.sub(r"\[[^]]*]|[*?]", "", key))
    return (2 if literals == len(key) else 0, literals)


def _refuse_tie(part: str, before: str | None, pattern: str, differs: bool) -> None:
    if before is not None and differs and _closeness(before) == _closeness(pattern):
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
