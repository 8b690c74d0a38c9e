"""The stage `prepare`: raw files (or none, for synthetic ones) to a prepared dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from components.core.data.card import read_card
from components.core.data.prepare import prepare
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Split
from components.core.stage import Stage, StageConfig
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from components.recipes import AnyRecipe


class Config(StageConfig):
    """What `prepare` reads of a params file.

    Attributes:
        recipe: The recipe; only its name and `data:` section matter here.
        split: How cases are divided.
        quarantine: How much may be unreadable.
    """

    uses: ClassVar[tuple[str, ...]] = ("recipe.name", "recipe.data", "split", "quarantine")
    recipe: AnyRecipe
    split: Split = Split()
    quarantine: QuarantineLimits = QuarantineLimits()


@dataclass(frozen=True)
class Inputs:
    """What it starts from.

    Attributes:
        raw: Folder of raw files; None makes the recipe's synthetic data set.
    """

    raw: Path | None = None


@dataclass(frozen=True)
class Outputs:
    """What it makes.

    Attributes:
        dataset: Folder of shards, index.parquet and card.json.
    """

    dataset: Path


def run(config: Config, inputs: Inputs, outputs: Outputs) -> None:
    """Prepare the dataset. Raises BadInput."""
    fold = str(config.split.fold) if config.split.folds else ""
    with Tracker(config.runtime, RunLabels(config.recipe.name, STAGE.name, fold=fold)) as tracker:
        prepare(
            config.recipe.data,
            inputs.raw,
            config.split,
            config.quarantine,
            outputs.dataset,
            recipe=config.recipe.name,
            workers=config.runtime.workers,
            progress=config.runtime.progress,
            restart=config.runtime.restart,
            watch=tracker.quarantined,
        )
        card = read_card(outputs.dataset)
        tracker.quarantined(len(card.quarantine))
        counts = {f"cases_{split}": float(sum(strata.values())) for split, strata in card.counts.items()}
        tracker.final({**counts, "quarantined": float(len(card.quarantine))})


STAGE = Stage(
    name="prepare",
    summary="Validate raw data, split it once, and write the dataset that later stages read.",
    config=Config,
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    aliases={"raw": "data", "dataset": "out"},
)
