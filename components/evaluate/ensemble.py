"""Exported bundles judged together: the mean of what they answer to each test sample."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from components.core.data.dataset import Dataset
from components.core.errors import BadInput
from components.core.export.bundle import METADATA, Bundle
from components.core.export.ensemble import Ensemble, averaged
from components.evaluate.system import Kind, System
from components.predictors import predictor_of
from components.recipes.contract import RecipeTask

ENSEMBLE: Kind = "ensemble"

PROBABILITY = "probability"
"""What a task's `score` takes, and with `:variance` what the members differ by."""


def ensemble_system(task: RecipeTask, dataset: Dataset, folder: Path, heartbeat: Callable[[], None]) -> System:
    """Judge the bundles of a folder as one system.

    Args:
        folder: Holds one folder per bundle.
        heartbeat: Called after every sample.

    Raises:
        BadInput: There are no bundles, one was trained on another dataset (it may know this one's test split), or
            their answers cannot be averaged.
    """
    ensemble = Ensemble([(bundle.folder, predictor_of(bundle)) for bundle in _bundles(dataset, folder)])
    cases = []
    for row in dataset.rows("test"):
        images = [np.asarray(dataset.array(row.id, member.array)) for member in ensemble.members]
        vote = averaged([member.vote(image) for member, image in zip(ensemble.members, images, strict=True)])
        found = {PROBABILITY: torch.from_numpy(np.asarray(vote.probability, dtype=np.float64))}
        if vote.variance is not None:
            found[f"{PROBABILITY}:variance"] = torch.from_numpy(np.asarray(vote.variance, dtype=np.float64))
        cases.append(task.score(dataset, row.id, found, {}, pictures=False))  # bundles hold their operating points
        heartbeat()
    return System(f"{ENSEMBLE} of {len(ensemble.members)}", cases, [], kind=ENSEMBLE)


def _bundles(dataset: Dataset, folder: Path) -> list[Bundle]:
    found = [Bundle.open(path.parent) for path in sorted(folder.glob(f"*/{METADATA}"))]
    if not found:
        raise BadInput("no bundle lies in it", where=str(folder), remedy="put what `thaw export` wrote into folders")
    for bundle in found:
        if bundle.metadata.get("data_digest") != dataset.digest:
            raise BadInput(
                "the bundle was trained on another dataset: it may know this one's test split",
                where=str(bundle.folder),
                remedy="take bundles that were trained on this very dataset, with other seeds or values",
            )
    return found
