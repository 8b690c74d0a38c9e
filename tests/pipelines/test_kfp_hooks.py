"""Every private name of kfp that the local runner leans on, held against the installed kfp."""

import inspect
from importlib.metadata import version

import pytest
from kfp import local
from kfp.local import (
    config,
    docker_task_handler,
    executor_input_utils,
    executor_output_utils,
    pipeline_orchestrator,
    status,
    subprocess_task_handler,
    task_dispatcher,
)
from kfp.local.orchestrator import dag_orchestrator, enhanced_dag_orchestrator, task_executor
from kfp.pipeline_spec.pipeline_spec_pb2 import ComponentSpec, ExecutorInput

from components.core.component import EXECUTOR_INPUT, EXECUTOR_OUTPUT


def test_kfp_is_the_version_these_tests_know() -> None:
    assert version("kfp") == "2.17.0"


def test_the_placeholders_are_kfp_s_own() -> None:
    from kfp import dsl

    assert EXECUTOR_INPUT == dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER
    assert EXECUTOR_OUTPUT == dsl.PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER


def test_only_three_checks_keep_container_components_out_of_subprocesses() -> None:
    handler = subprocess_task_handler.SubprocessTaskHandler
    source = inspect.getsource(handler.__init__)
    checks = [name for name in vars(handler) if name.startswith("validate_")]
    assert sorted(checks) == [
        "validate_image",
        "validate_not_container_component",
        "validate_not_containerized_python_component",
    ]
    assert all(f"self.{check}(" in source for check in checks)
    assert list(inspect.signature(handler.__init__).parameters)[1:] == [
        *("image", "full_command", "pipeline_root", "runner", "env_vars"),
    ]
    assert list(inspect.signature(subprocess_task_handler.run_local_subprocess).parameters) == [
        *("full_command", "env_vars"),
    ]
    with pytest.raises(RuntimeError, match="Container Component"):
        handler("python", ["echo"], ".", local.SubprocessRunner(use_venv=False))


def test_the_docker_handler_is_made_and_mounts_as_containers_expect() -> None:
    handler = docker_task_handler.DockerTaskHandler
    assert list(inspect.signature(handler.__init__).parameters)[1:] == [
        *("image", "full_command", "pipeline_root", "runner", "env_vars"),
    ]
    assert list(inspect.signature(handler.get_volumes_to_mount).parameters) == ["self", "client"]
    made = handler("image", ["echo"], "/root", local.DockerRunner(read_only=True), {"A": "1"})
    assert (made.image, made.full_command, made.env_vars) == ("image", ["echo"], {"A": "1"})
    assert made.runner.container_run_args == {"read_only": True}
    assert made.get_volumes_to_mount() == {"/root": {"bind": "/root", "mode": "rw"}}


def test_kfp_itself_takes_a_container_that_is_gone_for_a_success() -> None:
    """Why containers are run here: theirs removes itself, and its exit code with it."""
    source = inspect.getsource(docker_task_handler.run_docker_container)
    assert "auto_remove=True" in source
    assert source.rstrip().endswith("return 0")


def test_the_dispatcher_looks_the_hooks_up_in_their_modules_at_every_task() -> None:
    source = inspect.getsource(task_dispatcher.run_single_task_implementation)
    for name in (
        "subprocess_task_handler.SubprocessTaskHandler",
        "docker_task_handler.DockerTaskHandler",
        "executor_input_utils.construct_local_task_root(",
        "executor_output_utils.get_outputs_for_task(",
    ):
        assert name in source
    source = inspect.getsource(pipeline_orchestrator._run_local_pipeline_implementation)
    assert "executor_input_utils.get_local_pipeline_resource_name(" in source


def test_the_hooks_have_the_signatures_that_are_wrapped() -> None:
    def names(function: object) -> list[str]:
        return list(inspect.signature(function).parameters)  # type: ignore[arg-type]

    assert names(executor_output_utils.get_outputs_for_task) == ["executor_input", "component_spec"]
    assert names(executor_input_utils.get_local_pipeline_resource_name) == ["pipeline_name"]
    assert names(pipeline_orchestrator.run_local_pipeline) == ["pipeline_spec", "arguments"]
    root = executor_input_utils.construct_local_task_root(
        pipeline_root="root", pipeline_resource_name="graph", task_resource_name="task"
    )
    assert root == "root/graph/task"


def test_both_orchestrators_look_the_executor_up_in_its_module_and_take_a_status_from_it() -> None:
    for module in (dag_orchestrator, enhanced_dag_orchestrator):
        assert "task_executor.execute_single_task(" in inspect.getsource(module)
    assert "return outputs, task_status" in inspect.getsource(task_executor.execute_single_task)


def test_the_executor_output_is_named_as_the_journal_expects() -> None:
    made: ExecutorInput = executor_input_utils.construct_executor_input(ComponentSpec(), {}, "root", False)
    assert made.outputs.output_file == "root/executor_output.json"


def test_kfp_itself_trusts_a_step_that_made_nothing() -> None:
    """Why outputs are verified here: an absent executor output is read as an empty one."""
    outputs = executor_output_utils.get_outputs_for_task(ExecutorInput(), ComponentSpec())
    assert outputs == {}
    assert {one.name for one in status.Status} == {"SUCCESS", "FAILURE"}


def test_local_settings_are_one_global() -> None:
    assert config.LocalExecutionConfig.instance is None
