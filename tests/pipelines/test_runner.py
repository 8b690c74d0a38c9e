"""The local runner: what it runs, and what it refuses to call a success."""

from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from kfp import dsl
from kfp.local import config, subprocess_task_handler
from pipeline_toys import compiled, follow, step

from components.core.errors import BadInput, Temporary
from pipelines.runner.hooks import AsProcesses
from pipelines.runner.local import run_ir


def two_steps(first: str = "works", second: str = "works") -> None:
    one = step(behaviour=first).set_cpu_limit("1").set_retry(num_retries=2, backoff_duration="0s")
    follow(behaviour=second, source=one.outputs["made"])


def run(folder: Path, graph: Any = two_steps, environment: dict[str, str] | None = None, **arguments: Any) -> Any:
    return run_ir(compiled(graph, folder), arguments, folder / "root", AsProcesses(environment or {}))


def test_a_graph_runs_and_says_where_its_outputs_lie(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert (result.status, result.failure, result.exit_code) == ("succeeded", None, 0)
    made = result.outputs["step"]["made"]
    assert made == tmp_path / "root" / "toy" / "step" / "made"
    assert made.read_text() == "wrote works"
    assert result.outputs["follow"]["made"].read_text() == f"read {made}"


def test_tasks_get_the_environment_and_keep_this_process_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY", "own")
    assert run(tmp_path).outputs["step"]["made"].read_text() == "wrote works own"
    given = run(tmp_path, environment={"TOY": "given"})
    assert given.outputs["step"]["made"].read_text() == "wrote works given"


@pytest.mark.parametrize("code", [1, 2])
def test_a_failure_ends_the_run_at_once_with_its_exit_code(tmp_path: Path, code: int) -> None:
    result = run(tmp_path, first=f"exit {code}")
    assert (result.status, result.exit_code) == ("failed", code)
    assert (result.failure.task, result.failure.exit_code) == ("step", code)
    assert dict(result.outputs) == {}
    assert (tmp_path / "root/toy/step/attempts").read_text() == "1", "only temporary failures are tried again"
    assert not (tmp_path / "root/toy/follow").exists()


def test_a_later_failure_keeps_the_earlier_outputs(tmp_path: Path) -> None:
    result = run(tmp_path, second="exit 2")
    assert (result.failure.task, sorted(result.outputs)) == ("follow", ["step"])


def test_a_temporary_failure_is_tried_again_in_the_same_folder(tmp_path: Path) -> None:
    result = run(tmp_path, first="recovers")
    assert result.status == "succeeded"
    assert (tmp_path / "root/toy/step/attempts").read_text() == "2"


def test_retries_have_a_limit(tmp_path: Path) -> None:
    result = run(tmp_path, first="exit 75")
    assert (result.failure.task, result.exit_code) == ("step", 75)
    assert (tmp_path / "root/toy/step/attempts").read_text() == "3"


def test_a_killed_step_fails_the_run(tmp_path: Path) -> None:
    result = run(tmp_path, first="killed")
    assert result.exit_code == -9
    assert "signal 9" in result.failure.reason


@pytest.mark.parametrize("lie", ["does nothing", "makes nothing", "lists nothing", "lists garbage"])
@pytest.mark.parametrize("port", ["first", "second"])
def test_a_step_that_exits_0_without_its_outputs_fails_the_run(tmp_path: Path, lie: str, port: str) -> None:
    result = run(tmp_path, **{port: lie})
    assert (result.status, result.exit_code) == ("failed", 1)
    assert result.failure.task == {"first": "step", "second": "follow"}[port]
    assert "exited 0 but" in result.failure.reason


def test_outputs_of_an_earlier_run_do_not_cover_for_a_lie(tmp_path: Path) -> None:
    assert run(tmp_path).status == "succeeded"
    assert run(tmp_path, first="does nothing").failure.task == "step"


def test_a_command_that_does_not_exist_fails_the_run(tmp_path: Path) -> None:
    @dsl.container_component
    def absent(made: dsl.Output[dsl.Artifact]) -> dsl.ContainerSpec:
        return dsl.ContainerSpec(image="toy", command=["no-such-program"], args=[made.path])

    def graph() -> None:
        absent()

    assert run(tmp_path, graph).exit_code == 127


def test_iterations_of_a_loop_do_not_share_a_folder(tmp_path: Path) -> None:
    def graph() -> None:
        with dsl.ParallelFor(["a", "b", "c"]) as item:
            step(behaviour=item)

    result = run(tmp_path, graph)
    texts = {ports["made"].read_text() for ports in result.outputs.values()}
    assert texts == {"wrote a", "wrote b", "wrote c"}


def test_two_tasks_of_one_component_do_not_share_a_folder(tmp_path: Path) -> None:
    def graph() -> None:
        one = step(behaviour="a")
        step(behaviour="b").after(one)

    for _ in range(2):
        outputs = run(tmp_path, graph).outputs
        assert {task: ports["made"].read_text() for task, ports in outputs.items()} == {
            "step": "wrote a",
            "step-2": "wrote b",
        }


def test_a_failure_inside_a_loop_fails_the_run(tmp_path: Path) -> None:
    def graph() -> None:
        with dsl.ParallelFor(["a", "exit 2"]) as item:
            step(behaviour=item)

    assert run(tmp_path, graph).exit_code == 2


def test_a_branch_on_what_a_task_computes_is_refused(tmp_path: Path) -> None:
    @dsl.container_component
    def toss(side: dsl.OutputPath(str)) -> dsl.ContainerSpec:  # type: ignore[valid-type]
        return dsl.ContainerSpec(image="toy", command=["python", "-c", "pass"], args=[side])

    def graph() -> None:
        with dsl.If(toss().outputs["side"] == "heads"):
            step(behaviour="works")

    with pytest.raises(BadInput, match="which a task computes"):
        run(tmp_path, graph)


@pytest.mark.parametrize(("flag", "ran"), [(True, True), (False, False)])
def test_a_branch_on_the_graph_s_own_parameter_works(tmp_path: Path, flag: bool, ran: bool) -> None:
    def graph(flag: bool) -> None:
        with dsl.If(flag == True):  # noqa: E712  kfp builds the condition from the comparison
            step(behaviour="works")

    result = run(tmp_path, graph, flag=flag)
    assert (result.status, "step" in result.outputs) == ("succeeded", ran)


def test_arguments_must_fit(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="takes no"):
        run(tmp_path, frist="works")

    def needs(behaviour: str) -> None:
        step(behaviour=behaviour)

    with pytest.raises(BadInput, match="needs"):
        run(tmp_path, needs)


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    for text in ("", "a: 1", "- 1", "{", "schemaVersion: 2.1.0"):
        (tmp_path / "graph.yaml").write_text(text)
        with pytest.raises(BadInput):
            run_ir(tmp_path / "graph.yaml", {}, tmp_path)
    with pytest.raises(BadInput, match="no compiled graph"):
        run_ir(tmp_path / "absent.yaml", {}, tmp_path)


def test_two_runs_cannot_share_a_root(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with FileLock(tmp_path / "root" / ".lock"), pytest.raises(Temporary, match="another run"):
        run(tmp_path)


@pytest.mark.parametrize("first", ["works", "exit 2", "does nothing"])
def test_a_run_leaves_kfp_as_it_was(tmp_path: Path, first: str) -> None:
    before = (subprocess_task_handler.SubprocessTaskHandler, config.LocalExecutionConfig.instance)
    run(tmp_path, first=first)
    assert before == (subprocess_task_handler.SubprocessTaskHandler, config.LocalExecutionConfig.instance)
