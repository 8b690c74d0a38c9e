"""Run a compiled graph on this machine, by kfp's own orchestrator."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from kfp import local
from kfp.local import pipeline_orchestrator

from components.core.errors import Temporary
from pipelines.runner.checks import check_arguments, check_conditions, read_ir
from pipelines.runner.hooks import AsProcesses, installed
from pipelines.runner.journal import Journal
from pipelines.runner.result import Failure, RunResult
from pipelines.runner.way import Way

_ORCHESTRATOR = threading.Lock()
"""kfp keeps its local settings in global state: one run at a time in a process."""


def run_ir(
    ir_path: Path,
    arguments: Mapping[str, Any],
    root: Path,
    way: Way | None = None,
) -> RunResult:
    """Run a compiled graph with one subprocess or container per task.

    Outputs lie at `root/<graph>/<task>/<port>`. Running again in the same root finds them there, so a stage
    whose inputs have not changed has nothing to do and an interrupted one resumes.

    Args:
        ir_path: IR YAML, as the compile step writes it.
        arguments: Values of the graph's parameters.
        root: Folder of the run; made if it is not there.
        way: How tasks run; None runs them as processes.

    Returns:
        The outcome; a failed task is an outcome, not an exception.

    Raises:
        BadInput: The graph cannot run here (see `checks`) or in this way, or arguments do not fit it.
        Temporary: Another run is using the folder.
    """
    where = str(ir_path)
    spec = read_ir(ir_path)
    check_arguments(spec, arguments, where)
    check_conditions(spec, where)
    root = root.resolve()
    root.mkdir(parents=True, exist_ok=True)
    folder = root / spec.pipeline_info.name
    journal = Journal(folder)
    way = way or AsProcesses()
    try:
        with FileLock(root / ".lock", timeout=0), _ORCHESTRATOR, installed(journal, way):
            failure = _orchestrate(spec, dict(arguments), root, journal, way)
    except Timeout as error:
        raise Temporary("another run is using this folder", where=str(root), remedy="wait for it") from error
    return RunResult("failed" if failure else "succeeded", journal.outputs, folder, failure)


def _orchestrate(spec: Any, arguments: dict[str, Any], root: Path, journal: Journal, way: Way) -> Failure | None:
    workspace = root / ".workspace"  # named so that kfp makes no temporary folder of its own; nothing uses it
    local.init(runner=way.runner(root), pipeline_root=str(root), workspace_root=str(workspace))
    try:
        pipeline_orchestrator.run_local_pipeline(pipeline_spec=spec, arguments=arguments)
    except RuntimeError as error:  # kfp's word for a task that did not succeed
        return next(iter(journal.failures.values()), Failure("graph", 1, str(error)))
    return None
