"""The stage contract: one step with declared inputs and outputs, finished whole or not at all.

A stage is a value. Every door (command line, DVC, compiled pipeline, pod) calls `execute` on it, so there is
one wiring: temporary outputs are renamed into place when `run` has returned, and a record beside the first
output makes running the same stage on the same inputs again a no-op.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Generic, TypeVar

from components.core import launch
from components.core.component import flag
from components.core.config import Values
from components.core.digest import digest_code, digest_once
from components.core.errors import BadInput
from components.core.identity import Identity
from components.core.outputs import alone, digests_of, discard, is_finished, paths_of, publish, record_file, unfinished
from components.core.results import open_results
from components.core.runtime import Runtime
from components.core.store import durable


class StageConfig(Values):
    """Base of every stage's Config: the top-level keys of a params file that the stage reads.

    Attributes:
        uses: Dotted keys that change this stage's result. Only they enter its digest and dvc.yaml.
    """

    uses: ClassVar[tuple[str, ...]]
    runtime: Runtime = Runtime()

    def used(self) -> dict[str, Any]:
        """The values that change the result, by dotted key."""
        values = self.model_dump(mode="json")
        return {key: _lookup(values, key) for key in self.uses}

    def weight_files(self) -> Mapping[str, Path]:
        """Pretrained weights that the stage reads, files or folders by name: their content is part of its digest."""
        return {}


def _lookup(values: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        values = values[name]
    return values


C = TypeVar("C", bound=StageConfig)
I = TypeVar("I")  # noqa: E741  a frozen dataclass of input paths
O = TypeVar("O")  # noqa: E741  a frozen dataclass of output paths


@dataclass(frozen=True)
class Stage(Generic[C, I, O]):
    """One step of a recipe.

    Attributes:
        name: Folder, command, component and DVC stage name.
        summary: One line for `--help` and the component's description.
        config: Pydantic class of the values it reads.
        inputs: Frozen dataclass of `Path` (must exist) or `Path | None` (optional) fields.
        outputs: Frozen dataclass of `Path` fields, each a file or folder `run` creates.
        run: The work. It may assume its inputs exist and its outputs do not.
        together: The processes of a launch (torchrun) share the work; else the first one does it, and the others wait.
        aliases: Another word for a port on the command line, by the port's name.
    """

    name: str
    summary: str
    config: type[C]
    inputs: type[I]
    outputs: type[O]
    run: Callable[[C, I, O], None]
    together: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)

    def identity(self, config: C, inputs: I) -> Identity:
        """What decides the result of a run: installed code, used values, the content of inputs and pretrained weights.

        Not the epochs that extend it: a run that is extended goes on, it does not become another one.

        Raises:
            BadInput: Pretrained weights are not where the values say.
        """
        content = {**digests_of(inputs), **_weights(config.weight_files())}
        return Identity(stage=self.name, code=digest_code(), config=config.used(), inputs=content)

    def record(self, config: C, inputs: I) -> dict[str, Any]:
        """What a finished run is told by: its identity, and by how many epochs it was extended."""
        extended = config.runtime.extend_epochs
        return {**self.identity(config, inputs).dump(), **({"extended": extended} if extended else {})}

    def input_ports(self) -> list["Port"]:
        return _ports(self.inputs)

    def output_ports(self) -> list["Port"]:
        return _ports(self.outputs)

    def flags(self, port: str) -> list[str]:
        """How a port is spelled on the command line: by its own name first, by which its value is then known."""
        return [flag(port), *([flag(self.aliases[port])] if port in self.aliases else [])]


@dataclass(frozen=True)
class Port:
    """A named path of a stage; `required` is false where the dataclass gives a default of None."""

    name: str
    required: bool


def _ports(cls: type[Any]) -> list[Port]:
    return [Port(field.name, field.default is dataclasses.MISSING) for field in dataclasses.fields(cls)]


def execute(stage: Stage[C, I, O], config: C, inputs: I, outputs: O) -> bool:
    """Run a stage, unless its outputs already are what this run would make.

    Of the processes of a launch (torchrun) the first one decides, and makes the outputs; their errors are shared.

    Returns:
        True if the stage ran, False if there was nothing to do: its outputs are in place, or were fetched from
        `runtime.results`.

    Raises:
        BadInput: An input is missing, or the outputs' folder cannot be created.
        Temporary: There is no room left on the disk, or another process is making these outputs.
    """
    if launch.place().size == 1:
        return _execute(stage, config, inputs, outputs)
    from components.core.engine.ranks import here  # torch is there: it has launched us

    ranks = here()
    with ranks.together():
        if not stage.together:
            with launch.alone():
                ran = ranks.first and _execute(stage, config, inputs, outputs)
            return ranks.any(ran)
        if ranks.first:
            return _execute(stage, config, inputs, outputs, agreed=ranks.any)
        _check_inputs(stage, inputs)
        return ranks.any(False) and _assist(stage, config, inputs, outputs)


def _execute(
    stage: Stage[C, I, O], config: C, inputs: I, outputs: O, agreed: Callable[[bool], bool] = lambda needed: needed
) -> bool:
    """What `execute` does in the one process that makes the outputs.

    Args:
        agreed: Told whether there is anything to do, before it is done.
    """
    _check_inputs(stage, inputs)
    record = stage.record(config, inputs)
    restart, results = config.runtime.restart, open_results(config.runtime.results)
    if not restart and is_finished(record, outputs):
        return agreed(False)
    folder = record_file(outputs).parent
    with durable.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with alone(stage.name, outputs):
        if not restart and results is not None and results.fetch(record, outputs):
            return agreed(False)
        agreed(True)
        _make(stage, config, inputs, outputs, record)
        if results is not None:
            results.keep(record, outputs)
    return True


def _assist(stage: Stage[C, I, O], config: C, inputs: I, outputs: O) -> bool:
    """Share the work of a stage whose outputs another process makes: what this one leaves is discarded."""
    with TemporaryDirectory(prefix=f"{stage.name}-") as folder:
        elsewhere = {name: Path(folder) / path.name for name, path in paths_of(outputs).items()}
        stage.run(config, inputs, stage.outputs(**elsewhere))
    return True


def _make(stage: Stage[C, I, O], config: C, inputs: I, outputs: O, record: dict[str, Any]) -> None:
    """Run the stage into temporary outputs, and put them in place."""
    folder = record_file(outputs).parent
    with durable.explained(folder):
        staged = unfinished(outputs)
    try:
        with durable.full_disk_explained(folder):
            stage.run(config, inputs, staged)
            publish(staged, outputs, record)
    finally:
        for path in paths_of(staged).values():
            discard(path)


def _check_inputs(stage: Stage[Any, Any, Any], inputs: Any) -> None:
    for name, path in paths_of(inputs).items():
        if not path.exists():
            raise BadInput(
                f"{stage.name}: input {name!r} does not exist",
                where=str(path),
                remedy=f"run the stage that makes it, or correct {' or '.join(stage.flags(name))}",
            )


def _weights(files: Mapping[str, Path]) -> dict[str, str]:
    for name, path in files.items():
        if not path.exists():
            raise BadInput(
                f"the pretrained weights {name!r} are not there",
                where=str(path),
                remedy="fetch them, or correct their place in recipe.model",
            )
    return {f"weights:{name}": digest_once(path) for name, path in files.items()}
