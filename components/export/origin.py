"""Whether the inputs of an export belong together: one dataset, one seed, one recipe, one model judged and shipped."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import require_trained_on
from components.core.data.dataset import Dataset
from components.core.errors import BadInput
from components.core.export.bundle import portable
from components.core.tta import Tta, augmented
from components.export.stage import Config, Inputs

SHIPPED = "end_to_end"
"""The system of the evaluation that is shipped."""


def require_origin(artifact: ModelArtifact, dataset: Dataset, config: Config, inputs: Inputs) -> None:
    """The model must be of this dataset, seed and recipe: the metadata says so, and frozen parts are built from them.

    Raises:
        BadInput: It is of another one.
    """
    require_trained_on(artifact.meta, dataset.digest, inputs.weights)
    trained = artifact.meta.extra.get("seed", config.seed)
    if trained != config.seed:
        raise BadInput(
            f"the model was trained with seed {trained}, not {config.seed}",
            where=str(inputs.weights),
            remedy=f"export with --set seed={trained}",
        )
    configured = config.recipe.model_dump(mode="python", include={"name", "model"})
    differing = sorted(_differing("", configured, artifact.meta.recipe))
    if differing:
        raise BadInput(
            f"the model was trained with other values of the recipe: {', '.join(differing)}",
            where=str(inputs.weights),
            remedy="export with the params file it was trained with, or train it again with these",
        )


def read_scores(file: Path, artifact: ModelArtifact, tta: Tta) -> dict[str, Any]:
    """The shipped system's estimates on the test split, from `evaluate`: those of the views that are shipped.

    Raises:
        BadInput: The file does not hold them, they are another model's, or these views were never judged.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        judged = found["models"][SHIPPED]
        system = SHIPPED if tta.plain else _judged_with(found.get("views", {}), tta, file)
        scores = {
            "headline": found["headline"],
            "split": "test",
            "system": system,
            "views": list(tta.views),
            "metrics": found["systems"][system],
            "by_label": found["labels"][system],
        }
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"the evaluation does not tell the scores of {SHIPPED}: {error!r}",
            where=str(file),
            remedy="give metrics.json of `thaw evaluate`",
        ) from error
    if judged != artifact.digest:
        raise BadInput(
            f"the evaluation judged another model: {str(judged)[:16]}, not {artifact.digest[:16]}",
            where=str(file),
            remedy="evaluate this model again, or export the one that was judged",
        )
    return scores


def _judged_with(views: Mapping[str, Sequence[str]], tta: Tta, file: Path) -> str:
    """The system whose scores hold for an average over some views: their order does not matter.

    Raises:
        BadInput: It was not judged: the metadata would carry another system's scores.
    """
    name = augmented(SHIPPED)
    judged = list(views.get(name, []))
    if sorted(judged) == sorted(tta.views):
        return name
    told = f"with the views {', '.join(judged)}" if judged else "without test-time augmentation"
    raise BadInput(
        f"export.tta averages {', '.join(tta.views)}, but the model was judged {told}: its scores would be another's",
        where=str(file),
        remedy=f"evaluate again with evaluate.tta.views: [{', '.join(tta.views)}], or leave export.tta out",
    )


def _differing(key: str, configured: Any, trained: Any) -> list[str]:
    """Dotted keys of the configured values that the model was not trained with.

    Of paths only the names count: files may have moved.
    """
    if isinstance(configured, Mapping) and isinstance(trained, Mapping):
        names = configured if not key else {*configured, *trained}
        return [
            leaf
            for name in names
            for leaf in _differing(f"{key}.{name}".lstrip("."), configured.get(name), trained.get(name))
        ]
    if isinstance(configured, Path) and isinstance(trained, str):
        return [] if configured.name == Path(trained).name else [key]
    return [] if portable(configured) == trained else [key]
