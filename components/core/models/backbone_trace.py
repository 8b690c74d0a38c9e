"""Which modules a model runs one after another, seen from outside: where its computation can be cut.

A run is recorded with hooks. Where the very tensor that one module returns is what the next one is given, untouched in
between, nothing happens between the two, so that calling them in this order is the model. Names say nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(eq=False)
class Value:
    """A tensor at a moment: its version counts in-place changes, such as a shortcut that is added to it."""

    tensor: Tensor
    version: int

    @staticmethod
    def now(anything: Any) -> "Value | None":
        """None for what is no tensor."""
        return Value(anything, anything._version) if isinstance(anything, Tensor) else None

    def is_same(self, other: "Value | None") -> bool:
        """The very same tensor, not changed in between?"""
        return other is not None and self.tensor is other.tensor and self.version == other.version


@dataclass(eq=False)
class Call:
    """One module's run.

    Attributes:
        name: Its dotted name in the model; empty for the model itself.
        given: Its only tensor argument, the first one; None where it takes others.
        args: Its other arguments by position: constants.
        kwargs: By name.
        returned: None where it returns anything but one tensor.
        calls: What it ran in turn.
    """

    name: str
    module: nn.Module
    given: Value | None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    returned: Value | None = None
    calls: "list[Call]" = field(default_factory=list)

    def chain(self) -> "list[Call]":
        """The last modules it ran that hand over from one to the next up to what it returned; empty without one."""
        links: list[Call] = []
        wanted = self.returned
        for call in reversed(self.calls):
            if wanted is None or call.given is None or not wanted.is_same(call.returned):
                break
            links.insert(0, call)
            wanted = call.given
        return links

    def is_chain(self, links: "list[Call]") -> bool:
        """Is that chain all it does with what it was given?"""
        whole = bool(links) and len(links) == len(self.calls)
        return whole and self.given is not None and self.given.is_same(links[0].given)

    def names(self) -> set[str]:
        """Of every module that ran within it."""
        return {self.name}.union(*(call.names() for call in self.calls))


def record(model: nn.Module, run: Callable[[Tensor], Any], picture: Float[Tensor, "b c h w"]) -> Call:
    """Run a model without gradients and write down what ran within it.

    Args:
        run: The model's method to watch.
    """
    root = Call("", model, Value.now(picture))
    stack, hooks = [root], []
    for name, module in model.named_modules():
        if module is not model:
            hooks.append(module.register_forward_pre_hook(_Opens(name, stack), with_kwargs=True))
            hooks.append(module.register_forward_hook(_Closes(stack)))
    try:
        with torch.no_grad():
            root.returned = Value.now(run(picture))
    finally:
        for hook in hooks:
            hook.remove()
    return root


@dataclass(eq=False)
class _Opens:
    name: str
    stack: list[Call]

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        others = [*args[1:], *kwargs.values()]
        given = Value.now(args[0]) if args and all(map(_is_constant, others)) else None
        call = Call(self.name, module, given, args[1:], dict(kwargs))
        self.stack[-1].calls.append(call)
        self.stack.append(call)


@dataclass(eq=False)
class _Closes:
    stack: list[Call]

    def __call__(self, module: nn.Module, args: tuple[Any, ...], returned: Any) -> None:
        self.stack.pop().returned = Value.now(returned)


def _is_constant(value: Any) -> bool:
    """The same in every run of the same image size."""
    if isinstance(value, tuple | list):
        return all(map(_is_constant, value))
    return value is None or isinstance(value, bool | int | float | str)
