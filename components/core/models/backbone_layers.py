"""A backbone as a list of layers from stem to map, found from how its modules run, and named by resolution."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from components.core.models.backbone_trace import Call, Value
from components.core.models.layer_groups import BACKBONE_GROUPS, block_group

GROUPS = tuple(reversed(BACKBONE_GROUPS))
"""Names of the layer groups, from the stem on."""


@dataclass(eq=False)
class Step:
    """A module with the constants it is called with.

    Attributes:
        name: Dotted name in the model.
        entered: Side of the grid it is given; None where it has none.
        left: Side of the grid it returns.
    """

    name: str
    module: nn.Module
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    entered: int | None = None
    left: int | None = None

    def __call__(self, hidden: Tensor) -> Tensor:
        """Run it."""
        output: Tensor = self.module(hidden, *self.args, **self.kwargs)
        return output


class _ReachedError(Exception):
    """The module was about to run that the stem ends before."""

    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.hidden = hidden


@dataclass(eq=False)
class Stem:
    """What a model does before a module: its own forward pass, left when that module is about to run.

    Attributes:
        left: Side of the grid that it returns.
    """

    model: Any
    stop: nn.Module
    left: int | None = None

    def __call__(self, picture: Float[Tensor, "b 3 s s"]) -> Tensor:
        """What the module is given."""
        hook = self.stop.register_forward_pre_hook(_leave)
        try:
            self.model.forward_features(picture)
        except _ReachedError as reached:
            return reached.hidden
        finally:
            hook.remove()
        raise RuntimeError("the model did not run the module that its stem ends before")


def _leave(_: nn.Module, args: tuple[Any, ...]) -> None:
    raise _ReachedError(args[0])


@dataclass(eq=False)
class Layer:
    """A piece of a backbone that can be frozen apart from the others.

    Attributes:
        name: Group and number within it, counted from the stem: `early.0`, `stage2.1`.
        prefixes: Of the names, in the backbone, of its parameters and buffers.
        steps: What it runs.
    """

    name: str
    prefixes: tuple[str, ...]
    steps: "tuple[Step | Stem | Whole, ...]"

    def __call__(self, hidden: Tensor) -> Tensor:
        """Run it."""
        for step in self.steps:
            hidden = step(hidden)
        return hidden

    @property
    def modules(self) -> list[nn.Module]:
        """The modules that it runs itself, without what a stem runs."""
        return [step.module for step in self.steps if isinstance(step, Step)]


@dataclass(eq=False)
class Whole:
    """All of a model whose structure is not understood."""

    model: Any

    def __call__(self, picture: Float[Tensor, "b 3 s s"]) -> Tensor:
        """The map as the model gives it."""
        output: Tensor = self.model.forward_features(picture)
        return output


def one_layer(model: nn.Module) -> list[Layer]:
    """Everything as one layer."""
    return [Layer(f"{GROUPS[-1]}.0", tuple(_unclaimed(model, [])), (Whole(model),))]


def find_layers(model: nn.Module, run: Call, prefix_tokens: int) -> list[Layer]:
    """Cut a model into layers.

    Args:
        run: The record of its `forward_features`.
        prefix_tokens: Tokens before those of the grid.

    Returns:
        From stem to map; empty where fewer than two pieces are found.
    """
    links = run.chain()
    while links and not run.is_chain(links) and _ran_before(links[0], run):
        links = links[1:]  # a module that runs twice cannot mark where the stem ends
    stem: list[Stem] = []
    if links and not run.is_chain(links):
        stem = [Stem(model, links[0].module, _side_of(links[0].given, prefix_tokens))]
    pieces = _join(stem, [_step(call, prefix_tokens) for link in links for call in _split(link)])
    names = [step.name for piece in pieces for step in piece if isinstance(step, Step) and _has_tensors(step.module)]
    return _named(model, pieces) if len(pieces) > 1 and len(set(names)) == len(names) else []


def _ran_before(link: Call, run: Call) -> bool:
    return any(call.module is link.module for call in run.calls[: run.calls.index(link)])


def _split(call: Call) -> list[Call]:
    """A container's own modules, in order; whatever is one block as it is."""
    links = call.chain()
    if not call.is_chain(links):
        return [call]
    weighty = [link.module for link in links if _has_tensors(link.module)]
    blocks = [module for module in weighty if not _is_atom(module)]
    if isinstance(call.module, nn.Sequential):
        descends = bool(blocks) or sum(map(_is_convolution, weighty)) > 1
    else:
        descends = bool(blocks) and len(blocks) == len(weighty)
    return [piece for link in links for piece in _split(link)] if descends else [call]


def _join(stem: Sequence[Stem], steps: Sequence[Step]) -> list[list[Step | Stem]]:
    """Single convolutions, norms and activations with what they follow; blocks by themselves."""
    pieces: list[list[Step | Stem]] = [[*stem]]
    for step in steps:
        if _has_tensors(step.module) and _begins(step, pieces[-1]):
            pieces.append([step])
        else:
            pieces[-1].append(step)
    return pieces


def _begins(step: Step, piece: Sequence[Step | Stem]) -> bool:
    """Is it the first one of the next piece?"""
    weighty = [before for before in piece if isinstance(before, Stem) or _has_tensors(before.module)]
    if not weighty:
        return False
    return not _is_atom(step.module) or (_is_convolution(step.module) and step.entered != weighty[0].left)


def _has_tensors(module: nn.Module) -> bool:
    return any(True for _ in module.parameters()) or any(True for _ in module.buffers())


def _is_atom(module: nn.Module) -> bool:
    return all("." not in name for name, _ in module.named_parameters())


def _is_convolution(module: nn.Module) -> bool:
    return _is_atom(module) and any(parameter.ndim > 2 for parameter in module.parameters())


def _step(call: Call, prefix_tokens: int) -> Step:
    entered, left = _side_of(call.given, prefix_tokens), _side_of(call.returned, prefix_tokens)
    return Step(call.name, call.module, call.args, call.kwargs, entered, left)


def _side_of(value: Value | None, prefix_tokens: int) -> int | None:
    return side(value.tensor.shape, prefix_tokens) if value else None


def side(shape: Sequence[int], prefix_tokens: int) -> int | None:
    """Side of the square grid in maps [b, c, h, w], [b, h, w, c] or tokens [b, n, c]; None where there is none."""
    if len(shape) == 4:
        _, first, second, third = shape
        return third if second == third else first if first == second else None
    root = math.isqrt(max(shape[1] - prefix_tokens, 0)) if len(shape) == 3 else 0
    return root if root and root * root == shape[1] - prefix_tokens else None


def _named(model: nn.Module, pieces: Sequence[Sequence[Step | Stem]]) -> list[Layer]:
    steps = [[step for step in piece if isinstance(step, Step) and _has_tensors(step.module)] for piece in pieces]
    claimed = [[step.name for step in piece] for piece in steps]
    claimed[0] += _unclaimed(model, [name for names in claimed for name in names])
    lefts = [[step.left for step in piece if step.left] for piece in pieces]
    groups = group_of_each([sides[-1] if sides else None for sides in lefts])
    layers: list[Layer] = []
    for group, names, piece in zip(groups, claimed, pieces, strict=True):
        number = sum(layer.name.startswith(group) for layer in layers)
        layers.append(Layer(f"{group}.{number}", tuple(names), tuple(piece)))
    return layers


def _unclaimed(model: nn.Module, claimed: Sequence[str]) -> list[str]:
    """The shortest prefixes of tensors that no layer runs by name: position embeddings, what the stem runs."""
    found: list[str] = []
    tensors = [*model.named_parameters(), *model.named_buffers()]
    for name, _ in tensors:
        if any(_below(name, prefix) for prefix in (*claimed, *found)):
            continue
        parts = name.split(".")
        candidates = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
        found.append(next(c for c in candidates if not any(_below(prefix, c) for prefix in claimed)))
    return found


def _below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def group_of_each(sides: Sequence[int | None]) -> list[str]:
    """Group of each layer, from stem to map.

    By resolution where there are four or more: the smallest map is stage4, then stage3 and stage2, everything before
    is early. Else (a ViT has one resolution) the first layer is early and the others are four equal groups.

    Args:
        sides: Side of each layer's map; None where it has none.
    """
    known: list[int] = []
    for value in sides:
        known.append(value if value is not None else known[-1] if known else 2**31)
    steps = sorted(set(known))
    if len(steps) >= len(GROUPS) and known == sorted(known, reverse=True):
        return [GROUPS[max(len(GROUPS) - 1 - steps.index(value), 0)] for value in known]
    count = len(sides) - 1
    return [GROUPS[0], *(block_group(index, count) for index in range(count))]
