"""torch.compile for the layers that train: `runtime.compile`.

Frozen layers stay as they are: they are evaluated once, and what is kept of them must not depend on this setting.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from importlib.util import find_spec

from torch import nn

from components.core.errors import BadInput

COMPILERS = {"cpu": ("g++", "clang++"), "cuda": ("gcc", "clang", "cc")}
"""Programs of which one is needed by kind of device; `CXX` and `CC` name another."""

VARIABLES = {"cpu": "CXX", "cuda": "CC"}

BACKEND = "inductor"


def require_compiler(kind: str) -> None:
    """Refuse to compile where the generated code could not be built.

    Args:
        kind: Of the device: `cpu`, `cuda` or `mps`.

    Raises:
        BadInput: There is no compiler, no triton for a GPU, or the device is of another kind.
    """
    where = "runtime.compile = true"
    if kind not in COMPILERS:
        raise BadInput(f"no code is compiled for {kind} devices", where=where, remedy="set it to false")
    wanted = [*filter(None, [os.environ.get(VARIABLES[kind])]), *COMPILERS[kind]]
    if not any(shutil.which(name) for name in wanted):
        raise BadInput(
            f"torch.compile needs a compiler on this machine ({', '.join(COMPILERS[kind])}), and there is none",
            where=where,
            remedy="install one (for GPUs: the image gpu-compile has it), or set it to false",
        )
    if kind == "cuda" and find_spec("triton") is None:
        raise BadInput("torch.compile needs triton for a GPU", where=where, remedy="install it, or set it to false")


def compile_layers(model: nn.Module, roots: Iterable[str], kind: str) -> None:
    """Have layers compiled when they are first called, in place: names of tensors stay.

    Every shape gets code of its own, and none is chosen by timing: what a step computes depends neither on the steps
    before it, which a resumed process has not seen, nor on the clock. A layer for which that would be too many
    codes is an error, and not slow in silence.

    Args:
        model: What trains.
        roots: Names of modules or of single parameters, of which nothing is compiled.
        kind: Of the device.

    Raises:
        BadInput: The generated code could not be built here.
    """
    require_compiler(kind)
    import torch._dynamo.config as dynamo  # 3 seconds, for those alone who compile

    dynamo.recompile_limit = 256
    dynamo.fail_on_recompile_limit_hit = True
    modules = dict(model.named_modules())
    for root in roots:
        for layer in _called(modules[root]) if root in modules else ():
            layer.compile(backend=BACKEND, dynamic=False, options={"deterministic": True})


def _called(module: nn.Module) -> Iterator[nn.Module]:
    """A module that is called as such: of a list of modules, which nobody calls, those in it."""
    if isinstance(module, nn.ModuleList | nn.ModuleDict):
        for inner in module.children():
            yield from _called(inner)
    else:
        yield module
