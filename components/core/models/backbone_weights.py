"""Weights of a timm model from a file."""

import sys
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from components.core.errors import BadInput
from components.core.models.importing import ImportReport, compare, read_tensors, shapes

FILTER = "checkpoint_filter_fn"
"""Name under which timm's model files keep what renames and resamples tensors of other checkpoints."""


def load_weights(model: nn.Module, source: Path, heads: Sequence[str]) -> ImportReport:
    """Load a file into a timm model; position embeddings of another image size are resampled by timm.

    Args:
        heads: Modules of classifiers: they may be there or not, in the file and in the model.

    Raises:
        BadInput: The file cannot be read safely, or any tensor before the classifier is missing or another one.
    """
    tensors = read_tensors(source)
    # A classifier in the file is for other classes, and some filters take it for a sign of another format.
    kept = {key: value for key, value in tensors.items() if not _of(key, heads)}
    adapt = getattr(sys.modules[type(model).__module__], FILTER, None)
    if adapt is not None:
        kept = adapt(kept, model)
    wanted = {key: shape for key, shape in shapes(model).items() if not _of(key, heads)}
    report = compare(kept, wanted, source)
    if not report.complete:
        raise BadInput(
            f"the file does not fit the backbone: {report}",
            where=str(source),
            remedy="choose the recipe.model.backbone.name that it is of",
        )
    model.load_state_dict({key: kept[key] for key in report.matched}, strict=False)
    return report


def _of(key: str, modules: Sequence[str]) -> bool:
    return any(key == module or key.startswith(f"{module}.") for module in modules)
