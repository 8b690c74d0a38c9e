"""Small container components for trying the runner, and a way to compile them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp import compiler, dsl
from kfp.dsl import Artifact, Input, Output

from components.core.component import EXECUTOR_INPUT, EXECUTOR_OUTPUT

STEP = """
import json, os, pathlib, sys
behaviour, given, output_file = sys.argv[1:4]
outputs = json.loads(given)["outputs"]["artifacts"]
folder = pathlib.Path(output_file).parent
folder.mkdir(parents=True, exist_ok=True)
count = folder / "attempts"
attempt = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(attempt))
if behaviour.startswith("exit "):
    sys.exit(int(behaviour[5:]))
if behaviour == "recovers" and attempt == 1:
    sys.exit(75)
if behaviour == "killed":
    os.kill(os.getpid(), 9)
if behaviour == "does nothing":
    sys.exit(0)
for port, entry in outputs.items():
    path = pathlib.Path(entry["artifacts"][0]["uri"])
    if behaviour != "makes nothing":
        path.write_text(" ".join([*sys.argv[4:], os.environ.get("TOY", "")]).strip())
if behaviour == "lists garbage":
    pathlib.Path(output_file).write_text("{not json")
elif behaviour != "lists nothing":
    pathlib.Path(output_file).write_text(json.dumps({"artifacts": outputs}))
"""


@dsl.container_component
def step(behaviour: str, made: Output[Artifact]) -> dsl.ContainerSpec:
    """Does what it is told, well or badly."""
    return dsl.ContainerSpec(
        image="toy",
        command=["python", "-c", STEP],
        args=[behaviour, EXECUTOR_INPUT, EXECUTOR_OUTPUT, "wrote", behaviour],
    )


@dsl.container_component
def follow(behaviour: str, source: Input[Artifact], made: Output[Artifact]) -> dsl.ContainerSpec:
    """Needs the one before."""
    return dsl.ContainerSpec(
        image="toy",
        command=["python", "-c", STEP],
        args=[behaviour, EXECUTOR_INPUT, EXECUTOR_OUTPUT, "read", source.path],
    )


def compiled(graph: Callable[..., Any], folder: Path) -> Path:
    """Compile a graph function into a folder."""
    output = folder / "graph.yaml"
    compiler.Compiler().compile(dsl.pipeline(name="toy")(graph), str(output))
    return output
