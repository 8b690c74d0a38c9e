"""Bundles of ct_abnormality with random weights, and a volume to ask them about."""

from collections.abc import Mapping
from pathlib import Path

import nibabel
import numpy as np

from components.core.checkpoint.codec import encode_tensors
from components.core.data.dataset import Dataset
from components.core.data.prepare import prepare
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Split
from components.core.export.bundle import WEIGHTS, Bundle, close
from components.core.export.policy import Policy
from components.core.tta import Tta
from components.recipes.ct_abnormality.recipe import CtAbnormality
from components.recipes.ct_abnormality.task import CtTask

RECIPE = CtAbnormality.model_validate({
    "data": {
        "extraction": {"size": 32, "choice": {"count": 5}},
        "synthetic": {"volumes": 12, "size": 32, "slices": 16},
    },
    "model": {
        "backbone": {"name": "resnet10t", "arguments": {"channels": [8, 8, 16, 16], "stem_width": 8}},
        "image_size": 32,
        "slices": 4,
        "attention": {"kind": "medical"},
        "multiscale": ["stage3"],
    },
})  # fmt: skip
TTA = Tta(views=("identity", "scale_0.9"))


def prepared(folder: Path) -> Dataset:
    """Phantoms."""
    prepare(RECIPE.data, None, Split(), QuarantineLimits(), folder, recipe=RECIPE.name)
    return Dataset.open(folder)


def exported(dataset: Dataset, folder: Path, decision: Mapping[str, str], tta: Tta = TTA, seed: int = 0) -> Bundle:
    """What the export stage writes, as far as predictors read it."""
    folder.mkdir(parents=True, exist_ok=True)
    task: CtTask = RECIPE.build(dataset.card)
    model = task.build_model(seed)
    policy = Policy.model_validate({"tta": tta.model_dump(), "parity": {"images": 2}})
    own = task.export(model, dataset, decision, policy, folder)
    (folder / WEIGHTS).write_bytes(encode_tensors(model.state_dict()))
    close(folder, {**own, "data_digest": dataset.digest}, RECIPE.model_dump(mode="python"))
    return Bundle.open(folder)


def chest(path: Path) -> Path:
    """A box of soft tissue with two lungs, in Hounsfield units."""
    units = np.full((40, 40, 20), -1000, np.int16)
    units[6:34, 8:32] = 40
    for left in (10, 22):
        units[left : left + 8, 12:28, 3:17] = -850
    nibabel.save(nibabel.Nifti1Image(units, np.diag([8.0, 8.0, 8.0, 1.0])), path)
    return path
