"""The places where kfp's local orchestrator is changed, all of them: private names, so kfp is pinned.

`tests/pipelines/test_kfp_hooks.py` holds every assumption made here against the installed kfp.
"""

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf import json_format
from kfp import local
from kfp.local import config, executor_input_utils, executor_output_utils, status, subprocess_task_handler
from kfp.local.orchestrator import task_executor

from pipelines.runner.journal import Journal
from pipelines.runner.result import StepFailed
from pipelines.runner.way import Way

INTERPRETERS = ("python", "python3")


class ContainerAsSubprocess(subprocess_task_handler.SubprocessTaskHandler):
    """Runs a container component's command as a process of this machine.

    kfp refuses container components only by the three checks that are taken out here.
    """

    def __init__(self, journal: Journal, environment: Mapping[str, str], **task: Any) -> None:
        super().__init__(**{**task, "env_vars": {**(task.get("env_vars") or {}), **environment}})
        self.journal = journal

    def validate_image(self, image: str) -> None:
        """Any image will do: none is used."""

    def validate_not_container_component(self, full_command: list[str]) -> None:
        """Container components are what this handler is for."""

    def validate_not_containerized_python_component(self, full_command: list[str]) -> None:
        """Their command runs like any other."""

    def run(self) -> status.Status:
        """Run to the end, streaming the output.

        Returns:
            FAILURE for an exit code that asks for a retry.

        Raises:
            StepFailed: For every other exit code but 0.
        """
        command = list(self.full_command)
        if command[0] in INTERPRETERS:
            command[0] = sys.executable
        try:
            code = subprocess_task_handler.run_local_subprocess(full_command=command, env_vars=self.env_vars)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"cannot start {command[0]}: {error}", file=sys.stderr)  # noqa: T201  beside the step's own output
            code = 127
        self.journal.exited(code)
        return status.Status.SUCCESS if code == 0 else status.Status.FAILURE


@dataclass(frozen=True)
class AsProcesses:
    """Every task is a process of this machine, with this machine's interpreter; images are not looked at.

    Attributes:
        environment: Environment variables of every task, over this process's own.
    """

    environment: Mapping[str, str] = field(default_factory=dict)

    def runner(self, root: Path) -> Any:
        """kfp's settings of the runner."""
        return local.SubprocessRunner(use_venv=False)

    def handler(self, journal: Journal) -> tuple[ModuleType, str, Any]:
        """Where kfp looks for the class that runs a task, and what stands there instead."""
        return (
            subprocess_task_handler,
            "SubprocessTaskHandler",
            partial(ContainerAsSubprocess, journal, self.environment),
        )


@contextmanager
def installed(journal: Journal, way: Way) -> Iterator[None]:
    """Put the changes in place, and take them out again. Not reentrant: the orchestrator is global state."""
    folder, resource, outputs = (
        executor_input_utils.construct_local_task_root,
        executor_input_utils.get_local_pipeline_resource_name,
        executor_output_utils.get_outputs_for_task,
    )
    with ExitStack() as stack:
        put = partial(_put, stack)
        put(*way.handler(journal))
        put(executor_input_utils, "construct_local_task_root", lambda **where: journal.open(folder(**where)))
        put(executor_input_utils, resource.__name__, lambda pipeline_name: pipeline_name)
        put(executor_output_utils, "get_outputs_for_task", partial(_verified, journal, outputs))
        put(task_executor, "execute_single_task", partial(_ended, task_executor.execute_single_task))
        put(config.LocalExecutionConfig, "instance", None)
        stack.enter_context(warnings.catch_warnings())
        # Limits on processors and memory are for the cluster; every task would say so here.
        warnings.filterwarnings("ignore", message="Task .* have no effect in the current local runner")
        yield


def _put(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    stack.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)


def _ended(execute: Callable[..., Any], *task: Any, **named: Any) -> Any:
    """A task's outputs and status; one that no retry mends has failed like any other, so that exit handlers run."""
    try:
        return execute(*task, **named)
    except StepFailed:
        return {}, status.Status.FAILURE


def _verified(
    journal: Journal, read: Callable[..., dict[str, Any]], executor_input: Any, component_spec: Any
) -> dict[str, Any]:
    """The outputs of a task that exited 0, each one declared, listed and there.

    Raises:
        StepFailed: One is not.
    """
    try:
        outputs = read(executor_input=executor_input, component_spec=component_spec)
    except (json_format.ParseError, ValueError, LookupError) as error:
        raise journal.lied(f"its executor output cannot be read: {error}") from error
    artifacts = component_spec.output_definitions.artifacts
    declared = [*artifacts, *component_spec.output_definitions.parameters]
    if missing := [port for port in declared if port not in outputs]:
        raise journal.lied(f"its executor output lists no {', '.join(missing)}")
    if absent := [port for port in artifacts if not Path(outputs[port].path).exists()]:
        raise journal.lied(f"did not make {', '.join(f'{port} ({outputs[port].path})' for port in absent)}")
    journal.finished({port: Path(value.path) if port in artifacts else value for port, value in outputs.items()})
    return outputs
