"""`runtime.compile`: the same training but for last digits, and exact by itself."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from components.core.engine import compiling
from components.core.engine.compiling import require_compiler
from components.core.engine.job import Result
from components.core.errors import BadInput
from tests.engine.runs import Killed, assert_same, job, kill_at, run
from tests.engine.toy import ToyTask

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler on this machine")


def calm() -> ToyTask:
    """Without dropout, whose random numbers differ in compiled code."""
    return ToyTask(norm=False)


def train(folder: Path, task: ToyTask, compiled: bool = True) -> Result:
    return run(job(task, folder, runtime={"compile": compiled}))


@needs_compiler
def test_it_trains_as_without_but_for_last_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    compile_layers = compiling.compile_layers

    def counted(model: torch.nn.Module, roots: list[str], kind: str) -> None:
        compile_layers(model, roots, kind)
        found.extend(name for name, module in model.named_modules() if module._compiled_call_impl is not None)

    monkeypatch.setattr("components.core.engine.layers.compile_layers", counted)
    compiled, plain = train(tmp_path / "compiled", calm()), train(tmp_path / "plain", calm(), compiled=False)
    assert found == ["block", "head"], "what trains, and nothing else"
    assert compiled.weights.keys() == plain.weights.keys()
    for name, value in plain.weights.items():
        torch.testing.assert_close(compiled.weights[name], value, rtol=1e-4, atol=1e-6)
    assert compiled.environment["compile"] == "inductor" and "compile" not in plain.environment


@needs_compiler
@pytest.mark.parametrize("call", [11, *(pytest.param(call, marks=pytest.mark.slow) for call in (3, 24))])
def test_a_killed_run_ends_with_the_same_bits(tmp_path: Path, call: int) -> None:
    broken = ToyTask()
    broken.on_objective = kill_at(call)
    with pytest.raises(Killed):
        train(tmp_path / "killed", broken)
    torch.compiler.reset()  # the process that goes on has compiled nothing yet
    assert_same(train(tmp_path / "killed", ToyTask()), train(tmp_path / "whole", ToyTask()))


@needs_compiler
def test_a_run_begun_without_does_not_go_on_with_it(tmp_path: Path) -> None:
    broken = ToyTask()
    broken.on_objective = kill_at(20)
    with pytest.raises(Killed):
        train(tmp_path, broken, compiled=False)
    with pytest.raises(BadInput, match="compile: now 'inductor', in the checkpoint None"):
        train(tmp_path, ToyTask())


@needs_compiler
def test_of_a_list_of_layers_each_is_compiled() -> None:
    model = torch.nn.ModuleDict({"blocks": torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.ReLU()])})
    compiling.compile_layers(model, ["blocks", "blocks.0.weight", "absent"], "cpu")
    assert [name for name, module in model.named_modules() if module._compiled_call_impl is not None] == [
        "blocks.0",
        "blocks.1",
    ]


@pytest.mark.parametrize(
    ("kind", "programs", "triton", "message"),
    [
        ("cpu", [], True, "needs a compiler"),
        ("cpu", ["gcc"], True, "needs a compiler"),
        ("cuda", [], True, "needs a compiler"),
        ("cuda", ["gcc"], False, "needs triton"),
        ("mps", ["g++"], True, "no code is compiled for mps"),
    ],
)
def test_it_is_refused_where_nothing_can_be_compiled(
    kind: str, programs: list[str], triton: bool, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, programs, triton)
    with pytest.raises(BadInput, match=message) as caught:
        require_compiler(kind)
    assert caught.value.where == "runtime.compile = true" and "false" in caught.value.remedy


@pytest.mark.parametrize(("kind", "programs"), [("cpu", ["clang++"]), ("cuda", ["gcc"]), ("cpu", ["my-g++"])])
def test_a_compiler_is_enough(kind: str, programs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, programs, triton=True)
    monkeypatch.setenv("CXX", "my-g++")
    require_compiler(kind)


def stand_in(monkeypatch: pytest.MonkeyPatch, programs: list[str], triton: bool) -> None:
    find: Callable[[str], str | None] = lambda name: f"/bin/{name}" if name in programs else None  # noqa: E731
    monkeypatch.setattr(compiling.shutil, "which", find)
    monkeypatch.setattr(compiling, "find_spec", lambda _: object() if triton else None)
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
