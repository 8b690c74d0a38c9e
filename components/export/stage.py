"""Stage `export`: write the bundle that leaves the project, and prove that it says what the model says."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from components.core.stage import Stage
from components.export.values import Export
from components.model_stage import ModelStageConfig


class Config(ModelStageConfig):
    """Values of the stage."""

    uses: ClassVar = ("seed", "recipe", "export")

    export: Export = Export()


@dataclass(frozen=True)
class Inputs:
    """Attributes:
    dataset: Folder made by `prepare`.
    weights: Model folder of `end_to_end`.
    evaluation: `metrics.json` of `evaluate`, for the metadata.
    """

    dataset: Path
    weights: Path
    evaluation: Path


@dataclass(frozen=True)
class Outputs:
    """Attributes:
    bundle: Folder of weights, graphs, the recipe's values and metadata.json.
    """

    bundle: Path


def run(config: Config, inputs: Inputs, outputs: Outputs) -> None:
    """Write the bundle, or nothing: a graph that differs from the model leaves no folder behind."""
    from components.core.data.dataset import Dataset
    from components.core.engine.training import fold_of
    from components.core.tracking.push import RunLabels
    from components.core.tracking.tracker import Tracker
    from components.export.write import write_bundle

    labels = RunLabels(config.recipe.name, STAGE.name, config.seed, fold_of(Dataset.open(inputs.dataset)))
    with Tracker(config.runtime, labels):
        outputs.bundle.mkdir(parents=True)
        try:
            write_bundle(config, inputs, outputs.bundle)
        except BaseException:
            shutil.rmtree(outputs.bundle)
            raise


STAGE = Stage(
    name="export",
    summary="Write the bundle that leaves the project: weights, ONNX graphs, metadata.",
    config=Config,
    inputs=Inputs,
    outputs=Outputs,
    run=run,
)
