"""A small prepared dataset, an untrained model folder, and the stage that exports it."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta
from components.core.data.dataset import Dataset
from components.core.data.prepare import prepare
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Split
from components.core.runtime import Runtime
from components.export.stage import Config, Inputs
from components.recipes.freqmedclip.model import FreqMedClip as Model
from components.recipes.freqmedclip.recipe import FreqMedClip

PROMPT = "a dark lesion in the ultrasound image"
SEED = 3
MODEL = {
    "clip": {"kind": "tiny", "width": 32, "depth": 2, "heads": 2, "patch": 8, "joint": 16},
    "sam": {
        "kind": "tiny",
        "image_size": 32,
        "patch": 8,
        "width": 32,
        "depth": 1,
        "heads": 2,
        "prompt_width": 32,
    },
    "image_size": 48,
    "refine_width": 8,
    "wavelet": "db2",
    "m2ib": {"block": 0},
}
EVERY_BRANCH = {
    "injection": {"kind": "early", "block": 1},
    "prompting": {"components": 2, "geometry": "both", "threshold": 0.4},
}
"""Values of the model that make its graphs take every branch."""

ESTIMATE = {"mean": 0.5, "sd": float("nan"), "low": 0.4, "high": 0.6, "n": 4}
VIEWS = ["identity", "flip_horizontal"]
EVALUATION = {
    "headline": "dice",
    "systems": {
        "end_to_end": {"dice": {**ESTIMATE, "mean": 0.25}},
        "end_to_end (tta)": {"dice": ESTIMATE},
        "warmup": {"dice": ESTIMATE},
    },
    "views": {"end_to_end": ["identity"], "end_to_end (tta)": VIEWS},
    "labels": {name: {"tissue": {"dice": ESTIMATE}} for name in ("end_to_end", "end_to_end (tta)")},
    "differences": {},
}


def recipe(**model: Any) -> FreqMedClip:
    return FreqMedClip.model_validate({"data": {"prompts": {1: PROMPT}}, "model": {**MODEL, **model}})


def write_pictures(folder: Path, count: int = 14) -> None:
    """Dark discs on grey, of sizes that are neither square nor the model's."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "image", "mask", "group", "stratum"])
        for number in range(count):
            random = np.random.default_rng(number)
            height, width = (int(side) for side in random.integers(40, 72, 2))
            rows, columns = np.mgrid[:height, :width]
            mask = np.hypot(rows - height * random.uniform(0.3, 0.7), columns - width * random.uniform(0.3, 0.7)) < 11
            image = np.where(mask, 40, 150)[:, :, None] + random.integers(-30, 31, (height, width, 3))
            Image.fromarray(image.astype(np.uint8)).save(folder / "images" / f"{number}.png")
            Image.fromarray(mask.astype(np.uint8)).save(folder / "masks" / f"{number}.png")
            table.writerow(
                [f"case-{number}", f"images/{number}.png", f"masks/{number}.png", f"patient-{number}", "tissue"]
            )


def awaken(model: Model) -> None:
    """Make every part of an untrained model matter: maps that vary about the threshold, a visible fusion."""
    model.saliency_head.log_scale.data.fill_(3.0)
    model.fusion_gate.fusion_alpha.data.fill_(0.5)
    for parameter in model.saliency_head.refine[-1].parameters():
        parameter.data.mul_(4.0)


class Project:
    """Inputs of the stage, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_pictures(folder / "raw")
        prepare(
            recipe().data,
            folder / "raw",
            Split(),
            QuarantineLimits(),
            folder / "dataset",
            recipe="freqmedclip",
            workers=0,
            progress=False,
        )
        self.evaluation = folder / "metrics.json"

    @property
    def dataset(self) -> Dataset:
        return Dataset.open(self.folder / "dataset")

    def train(self, chosen: FreqMedClip, mask: str, bias: float = 0.0) -> Inputs:
        """A model folder as `end_to_end` writes it, for the mask that validation would have chosen."""
        model = chosen.build(self.dataset.card).build_model(SEED)
        awaken(model)
        model.saliency_head.bias.data.add_(bias)
        meta = ModelMeta(
            recipe=chosen.model_dump(mode="json"),
            phase="end_to_end",
            step=1,
            decision={"mask": mask},
            data_digest=self.dataset.digest,
            extra={"seed": SEED},
        )
        folder = self.folder / "model"
        digest = ModelArtifact.save(folder, dict(model.state_dict()), None, meta)
        self.evaluation.write_text(json.dumps({**EVALUATION, "models": {"end_to_end": digest}}), encoding="utf-8")
        return Inputs(self.folder / "dataset", folder, self.evaluation)


def config(chosen: FreqMedClip, **export: Any) -> Config:
    return Config.model_validate(
        {"seed": SEED, "recipe": chosen.model_dump(), "export": export, "runtime": Runtime(progress=False)}
    )
