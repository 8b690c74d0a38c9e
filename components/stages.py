"""The stages, in the order in which a recipe runs them."""

from importlib import import_module
from typing import Any

from components.core.errors import BadInput
from components.core.stage import Stage

NAMES = ("prepare", "pretrain", "warmup", "partial_unfreeze", "end_to_end", "evaluate", "export")


def load(name: str) -> Stage[Any, Any, Any]:
    """The stage of that name. Its module imports no torch until the stage runs."""
    if name not in NAMES:
        raise BadInput(f"no stage {name!r}", where=name, remedy=f"the stages are {', '.join(NAMES)}")
    stage: Stage[Any, Any, Any] = import_module(f"components.{name}.stage").STAGE
    return stage
