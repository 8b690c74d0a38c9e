"""What is the same in every recipe's bundle: weights, provenance, scores."""

from pathlib import Path
from typing import Any

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.codec import encode_tensors
from components.core.data.card import Card
from components.core.data.dataset import Dataset
from components.core.engine.device import make_deterministic
from components.core.engine.snapshot import put_whole
from components.core.export.bundle import RECIPE, WEIGHTS, close, installed, versions
from components.export.origin import read_scores, require_origin
from components.export.stage import Config, Inputs
from components.export.values import Export

WARNING = "Not for diagnosis. Not a medical device."
SPACING = "spacing"
"""Prefix of the dataset's attributes that hold pixel sizes."""


def write_bundle(config: Config, inputs: Inputs, folder: Path) -> None:
    """Write every file of a bundle; the metadata, which names the others' digests, comes last.

    Raises:
        BadInput: An input is not what it should be.
        ParityError: A graph differs from the model.
    """
    make_deterministic(config.runtime.threads)
    artifact = ModelArtifact.load(inputs.weights)
    dataset = Dataset.open(inputs.dataset)
    require_origin(artifact, dataset, config, inputs)
    scores = read_scores(inputs.evaluation, artifact, config.export.tta)
    task = config.recipe.build(dataset.card)
    model = task.build_model(config.seed)
    put_whole(model, artifact.weights, str(inputs.weights))
    own = task.export(model, dataset, artifact.meta.decision, config.export, folder)
    (folder / WEIGHTS).write_bytes(encode_tensors(model.state_dict()))
    provenance = {
        "recipe": config.recipe.name,
        "seed": config.seed,
        "model_digest": artifact.digest,
        "phase": artifact.meta.phase,
        "data_digest": dataset.digest,
    }
    recipe = config.recipe.model_dump(mode="python")
    close(folder, {**_about(config.export), **_data(dataset.card), **provenance, "eval_metrics": scores, **own}, recipe)


def _about(values: Export) -> dict[str, Any]:
    """Who, what for, made with what: MONAI's names where it has them."""
    return {
        "name": "thaw bundle",
        "version": values.version,
        "changelog": values.changelog,
        "thaw_version": installed("thaw"),
        "required_packages_version": versions(),
        "authors": values.authors,
        "copyright": values.copyright,
        "intended_use": values.intended_use,
        "warning": WARNING,
        "configs": [RECIPE],
        "weights": {"file": WEIGHTS, "what": "averaged weights where the phase keeps an average, else the last ones"},
    }


def _data(card: Card) -> dict[str, Any]:
    """Where the model's knowledge comes from."""
    spacing = {name: value.model_dump() for name, value in card.attributes.items() if name.startswith(SPACING)}
    return {
        "synthetic": card.synthetic,
        "data_warnings": card.warnings,
        "data_counts": card.counts,
        "data_groups": card.groups.model_dump(mode="json"),
        "data_notices": card.sources.notices,
        "spacing": spacing or "pixel",
        "label_names": card.label_names,
    }
