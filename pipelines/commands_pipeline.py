"""`thaw pipeline compile|argo|submit|run`: a recipe's graph as a file, on a cluster, or on this machine. No torch."""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from components import stages
from components.cli.values import add_values, configure, resolve
from components.core.config import merge
from components.core.errors import BadInput
from pipelines.grammar import Commands, group
from pipelines.images import read_images, read_pinned


def add(commands: Commands) -> None:
    """Mount the commands."""
    members = group(commands, "pipeline", "compile a recipe's graph for a cluster, or run it on this machine")
    compiling = members.add_parser("compile", help="write the graph as IR YAML")
    _add_graph(compiling)
    compiling.add_argument("--output", type=Path, required=True, metavar="FILE", help="IR YAML to write")
    compiling.set_defaults(handler=_compile)
    spelling = members.add_parser("argo", help="write the same graph as a plain Argo workflow")
    _add_graph(spelling)
    spelling.add_argument("--data", default="", metavar="PATH", help="your data as pods see it (default: synthetic)")
    spelling.add_argument("--output", type=Path, required=True, metavar="FILE", help="workflow YAML to write")
    spelling.set_defaults(handler=_argo)
    submitting = members.add_parser("submit", help="compile the graph and start a run of it on Kubeflow Pipelines")
    _add_graph(submitting)
    _add_server(submitting)
    submitting.set_defaults(handler=_submit)
    _add_run(members.add_parser("run", help="run the compiled graph with one process or container per step"))


def _add_run(running: argparse.ArgumentParser) -> None:
    add_values(running, named=True)
    _add_members(running)
    running.add_argument("--data", type=Path, metavar="PATH", help="your data (default: the synthetic data set)")
    running.add_argument("--root", type=Path, metavar="DIR", help="folder of the run (default: runs/RECIPE-pipeline)")
    running.add_argument("--store", metavar="URI", help="folder or s3:// prefix for checkpoints (default: in --root)")
    running.add_argument("--runner", choices=["subprocess", "docker"], default="subprocess", help="how steps run")
    docker = running.add_argument_group("with --runner docker")
    docker.add_argument("--image", metavar="cpu=NAME,gpu=NAME", help="images (default: what `make images` built)")
    docker.add_argument("--network", default="host", metavar="NAME", help="host (default), none, or a network's name")
    docker.add_argument("--gpus", type=int, default=0, metavar="N", help="GPUs for every step; -1: all (default: 0)")
    running.set_defaults(handler=_run)


def _add_graph(command: argparse.ArgumentParser) -> None:
    """Add the options of every graph for a cluster."""
    add_values(command)
    _add_members(command)
    command.add_argument("--store", metavar="URI", help="s3:// prefix for checkpoints, so that drained pods go on")
    command.add_argument("--results", metavar="URI", help="s3:// prefix of finished stages, which runs share")
    pinned = "cpu=NAME@sha256:...,gpu=NAME@sha256:..."
    command.add_argument("--image", metavar=pinned, help="or one for both (default: what `make images` pushed)")


def _add_server(command: argparse.ArgumentParser) -> None:
    data = command.add_argument_group("data")
    data.add_argument("--data", default="", metavar="PATH", help="your data as pods see it (default: synthetic)")
    data.add_argument("--content", type=Path, metavar="PATH", help="the same data here, or its .dvc file: pins it")
    server = command.add_argument_group("server (token: THAW_KFP_TOKEN or --token-file)")
    server.add_argument("--host", metavar="URL", help="address of the API (default: KF_PIPELINES_ENDPOINT)")
    server.add_argument("--namespace", default="", metavar="NAME", help="where the server serves several users")
    server.add_argument("--experiment", default="thaw", metavar="NAME", help="default: %(default)s")
    server.add_argument("--name", metavar="NAME", help="of the run (default: the pipeline's and the time)")
    server.add_argument("--service-account", metavar="NAME", help="of the pods (default: pipeline.service_account)")
    server.add_argument("--token-file", type=Path, metavar="FILE", help="file with the bearer token")


def _add_members(command: argparse.ArgumentParser) -> None:
    """Add the options by which a graph branches into the members of a cross-validation."""
    members = command.add_argument_group("cross-validation (default: pipeline.folds and pipeline.seeds of the values)")
    members.add_argument("--folds", type=int, metavar="K", help="a branch of the graph per fold")
    members.add_argument("--seeds", type=int, nargs="+", metavar="S", help="a branch per training seed")


def _values(arguments: argparse.Namespace) -> dict[str, Any]:
    """The values of the graph; a wrong one is told here, and not by a pod an hour later."""
    given = {"folds": arguments.folds, "seeds": arguments.seeds}
    values, source = resolve(arguments)
    values = merge(values, {"pipeline": {name: one for name, one in given.items() if one is not None}})
    for name in stages.NAMES:
        configure(stages.load(name), values, source)
    return values


def _cluster_values(arguments: argparse.Namespace) -> dict[str, Any]:
    """Values of a graph for a cluster. Says what a pod would lose, where it has no store."""
    values = _values(arguments)
    if arguments.store is not None:
        values = merge(values, {"runtime": {"checkpoints": {"store": arguments.store}}})
    if arguments.results is not None:
        values = merge(values, {"runtime": {"results": arguments.results}})
    runtime = values.get("runtime") or {}
    if not (runtime.get("checkpoints") or {}).get("store"):
        text = "no store for checkpoints: a pod that is drained starts its stage over (--store s3://bucket/prefix)"
        Console(stderr=True).print(f"thaw: {text}", soft_wrap=True, markup=False, highlight=False)
    return values


def _compile(arguments: argparse.Namespace) -> int:
    from pipelines.commands import compile_command

    values = _cluster_values(arguments)
    file = compile_command(arguments.recipe, values, read_pinned(arguments.image), arguments.output)
    Console().print(f"graph   {file}", soft_wrap=True, markup=False, highlight=False)
    return 0


def _argo(arguments: argparse.Namespace) -> int:
    from pipelines.argo import write_workflow
    from pipelines.plan import make_plan

    plan = make_plan(arguments.recipe, _cluster_values(arguments))
    file = write_workflow(plan, read_pinned(arguments.image), arguments.output, arguments.data)
    Console().print(f"workflow   {file}", soft_wrap=True, markup=False, highlight=False)
    return 0


def _submit(arguments: argparse.Namespace) -> int:
    from pipelines.graph import build, compile_graph
    from pipelines.plan import make_plan
    from pipelines.submit import Server, pin, read_token, submit

    host = arguments.host or os.environ.get("KF_PIPELINES_ENDPOINT", "")
    if not host:
        raise BadInput("no server is named", where="--host", remedy="give --host or set KF_PIPELINES_ENDPOINT")
    plan = make_plan(arguments.recipe, _cluster_values(arguments))
    account = arguments.service_account or plan.settings.service_account
    server = Server(host, arguments.namespace, arguments.experiment, account, read_token(arguments.token_file))
    data = pin(arguments.data, arguments.content)
    name = arguments.name or f"{plan.name} {datetime.now(tz=UTC):%Y-%m-%d %H:%M:%S}"
    with TemporaryDirectory(prefix="thaw-") as folder:
        graph = compile_graph(build(plan, read_pinned(arguments.image)), Path(folder) / "graph.yaml")
        started = submit(graph, data, name, server)
    Console().print(f"run   {started.run}   {started.address}", soft_wrap=True, markup=False, highlight=False)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from components.core.tracking.logs import redact, secrets_of
    from pipelines.commands import run_command

    values = _values(arguments)
    if arguments.store is not None:
        values = merge(values, {"runtime": {"checkpoints": {"store": arguments.store}}})
    if arguments.data is not None and not arguments.data.exists():
        raise BadInput("the data does not exist", where=str(arguments.data), remedy="correct --data")
    root = arguments.root or Path("runs") / f"{arguments.recipe}-pipeline"
    if arguments.runner == "docker":
        from pipelines.runner.containers import AsContainers

        containers = AsContainers(arguments.data, arguments.network, gpus=arguments.gpus)
        images = read_images(arguments.image)
        result = run_command(arguments.recipe, values, arguments.data, root, containers, images)
    else:
        result = run_command(arguments.recipe, values, arguments.data, root)
    out = Console()
    for stage, ports in result.outputs.items():
        for port, path in ports.items():
            out.print(f"{stage}.{port}   {path}", soft_wrap=True, markup=False, highlight=False)
    if result.failure is not None:
        text = f"thaw: error: {result.failure.task} failed ({result.failure.exit_code}): {result.failure.reason}"
        Console(stderr=True).print(redact(text, secrets_of(os.environ)), soft_wrap=True, markup=False, highlight=False)
    return result.exit_code
