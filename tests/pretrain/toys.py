"""A small recipe with an encoder: coloured squares, told apart by where their bright corner is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from components.core.contrastive.task import Contrastive
from components.core.contrastive.values import Pretrain
from components.core.data.pictures import Pictures
from components.core.engine.job import Job
from components.core.engine.task import Encoder
from components.core.identity import Identity
from components.core.runtime import Cache, Runtime

SIZE = 16
CLASSES = 3


@dataclass(frozen=True)
class ToyDataset:
    """Pictures by split; `load` of any other split than those asked for would be an error of the task."""

    splits: Sequence[str] = ("train", "val", "test", "unlabelled")
    folder: Path = Path("toys")
    digest: str = "toys"
    each: int = 12
    asked: list[str] = field(default_factory=list)


class Net(nn.Module):
    """An encoder and a head that is not part of it."""

    def __init__(self, width: int, norm: bool) -> None:
        super().__init__()
        scaled = nn.BatchNorm2d(8) if norm else nn.Identity()
        stem = nn.Conv2d(3, 8, 4, 4, bias=not norm)
        self.trunk = nn.Sequential(stem, scaled, nn.GELU(), nn.Flatten(), nn.Linear(8 * 16, width))
        self.head = nn.Linear(width, CLASSES)


@dataclass
class ToyRecipeTask:
    """What `Contrastive` needs of a recipe's task.

    Attributes:
        labelled: Do the train pictures have labels?
        norm: Does its trunk hold a batch norm?
        spoil: What becomes of the trunk's vectors, where a test needs other ones.
    """

    width: int = 8
    labelled: bool = True
    norm: bool = False
    has_encoder: bool = True
    spoil: Callable[[Tensor], Tensor] | None = None
    built: list[int] = field(default_factory=list)

    def build_model(self, seed: int) -> Net:
        self.built.append(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Net(self.width, self.norm)

    def encoder(self, model: nn.Module) -> Encoder | None:
        if not self.has_encoder:
            return None
        trunk = model.get_submodule("trunk")
        spoil = self.spoil or (lambda x: x)
        return Encoder(trunk, lambda pictures: spoil(trunk(pictures)), SIZE, self.width)

    def pictures(self, dataset: Any, splits: Sequence[str]) -> Pictures:
        dataset.asked.extend(splits)
        ids = [f"{split}{number:02d}" for split in splits for number in range(dataset.each)]
        labels = [int(name[-2:]) % CLASSES if self.labelled and name.startswith("train") else -1 for name in ids]
        return Pictures(ids, ids, labels, lambda row: picture(int(ids[row][-2:]), ids[row]), "toys")


def picture(number: int, name: str) -> np.ndarray:
    """Noise with one bright corner; the class decides which."""
    random = np.random.default_rng([number, len(name)])
    image = random.integers(0, 120, (24, 24, 3), dtype=np.uint8)
    corner = number % CLASSES
    image[12 * (corner // 2) :, 12 * (corner % 2) :][:12, :12] += np.uint8(100)
    return image


VALUES = Pretrain.model_validate(
    {"epochs": 3, "batch_size": 6, "projection": 4, "rate": 1e-2, "probe": {"every": 2, "folds": 3}}
)


def toy_job(folder: Path, values: Pretrain = VALUES, task: Any = None, dataset: Any = None, **runtime: Any) -> Job:
    """Pretraining of the toy's encoder."""
    found = dataset or ToyDataset()
    given = {"device": "cpu", "progress": False, "workers": 0, "cache": Cache(dir=folder / "cache"), **runtime}
    return Job(
        task=Contrastive(task or ToyRecipeTask(), found, values, 0),
        phase=values.phase(),
        name="pretrain",
        seed=0,
        runtime=Runtime(**given),
        dataset=found,
        start=None,
        identity=Identity("pretrain", "code", {}, {}),
        store=str(folder / "checkpoints"),
        judged="probed",
    )
