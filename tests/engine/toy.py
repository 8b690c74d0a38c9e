"""A toy task for the engine's tests: a two-block regression with dropout, a buffer, and a text-like table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from components.core.engine.task import Batch, Features, Objective, Prefix, ViewKey

WIDTH = 6


class ToyModel(nn.Module):
    """x -> stem -> block -> head, plus a "text" embedding added before the head."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        normalised = nn.BatchNorm1d(WIDTH) if norm else nn.Identity()
        self.stem = nn.Sequential(nn.Linear(4, WIDTH), nn.Tanh(), nn.Dropout(0.3))
        self.block = nn.Sequential(nn.Linear(WIDTH, WIDTH), normalised, nn.Tanh(), nn.Dropout(0.3 if norm else 0.0))
        self.text = nn.Embedding(3, WIDTH)
        self.head = nn.Linear(WIDTH, 1)


@dataclass
class ToyExamples:
    """Numbered samples; augmentation adds noise drawn from the key alone."""

    ids: Sequence[str]
    offset: int
    digest: str = "toy"
    loads: int = 0

    @property
    def sources(self) -> Sequence[int]:
        return range(len(self.ids))

    def load(self, rows: Sequence[int], keys: Sequence[ViewKey], fields: frozenset[str]) -> Batch:
        self.loads += 1
        xs, ys = [], []
        for row, key in zip(rows, keys, strict=True):
            generator = np.random.default_rng([self.offset, row])
            x = generator.normal(size=4)
            ys.append(np.tanh(x.sum()))
            noise = np.random.default_rng(list(key)).normal(size=4) * 0.1 if key else 0.0
            xs.append(x + noise)
        everything = {
            "x": torch.tensor(np.array(xs), dtype=torch.float32),
            "y": torch.tensor(np.array(ys), dtype=torch.float32),
            "word": torch.tensor([row % 3 for row in rows]),
        }
        return {"row": torch.tensor(list(rows)), **{name: everything[name] for name in fields}}


class ToyTask:
    """Counts forward passes of the stem and of the text embedding."""

    monitor = "score"
    mixed = frozenset({"x"})

    def __init__(self, train: int = 23, coupled: str = "", norm: bool = True) -> None:
        self.norm = norm
        self.train = train
        self.coupled = coupled
        self.stem_samples = 0
        self.text_rows = 0
        self.fail_at: int | None = None
        self.poison: set[int] = set()
        self.memory: int | None = None
        self.on_objective = lambda: None

    def build_model(self, seed: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return ToyModel(self.norm)

    def parts(self, model: nn.Module) -> dict[str, list[str]]:
        return {"head": ["head"], "block": ["block"], "stem": ["stem"], "text": ["text"]}

    def examples(self, dataset: object, split: str) -> ToyExamples:
        count = self.train if split == "train" else 7
        return ToyExamples([f"{split}-{i}" for i in range(count)], 1 if split == "train" else 2)

    def check(self, losses: Mapping[str, float], examples: ToyExamples, trainable: Mapping[str, float]) -> None:
        pass

    def couples(self, losses: Mapping[str, float]) -> str:
        return self.coupled

    def fields(self, losses: Mapping[str, float]) -> frozenset[str]:
        return frozenset({"x", "y", "word"})

    def prefixes(
        self, model: ToyModel, examples: ToyExamples, frozen: frozenset[str], losses: Mapping[str, float]
    ) -> list[Prefix]:
        table = {"ids": torch.arange(3)}
        found = []
        if "text" in frozen:
            found.append(Prefix("text", ("text",), frozenset({"word"}), lambda b: self._text(model, b), table, "word"))
        if "stem" in frozen:
            found.append(Prefix("stem", ("stem",), frozenset({"x"}), lambda b: self._stem(model, b["x"])))
        return found

    def _text(self, model: ToyModel, batch: Batch) -> Tensor:
        self.text_rows += len(batch["ids"])
        return model.text(batch["ids"])

    def _stem(self, model: ToyModel, x: Tensor) -> Tensor:
        self.stem_samples += len(x)
        return model.stem(x)

    def _forward(self, model: ToyModel, batch: Batch, features: Features) -> Tensor:
        hidden = features["stem"] if "stem" in features else self._stem(model, batch["x"])
        text = features["text"] if "text" in features else model.text(batch["word"])
        return model.head(model.block(hidden) + text)[:, 0]

    def objective(self, model: ToyModel, batch: Batch, features: Features, losses: Mapping[str, float]) -> Objective:
        self.on_objective()
        if self.memory is not None and len(batch["row"]) > self.memory:
            raise torch.OutOfMemoryError("toy")
        found = self._forward(model, batch, features)
        error = (found - batch["y"]) ** 2
        if "mix" in batch:
            error = batch["mix"] * error + (1 - batch["mix"]) * (found - batch["y:partner"]) ** 2
        poisoned = torch.tensor([int(row) in self.poison for row in batch["row"]])
        error = torch.where(poisoned, torch.full_like(error, float("nan")), error)
        return Objective({"mse": losses["mse"] * error}, {"mean_error": float(error.mean().detach())})

    def measure(
        self, model: ToyModel, batch: Batch, features: Features, losses: Mapping[str, float]
    ) -> dict[str, Tensor]:
        return {"error": (self._forward(model, batch, features) - batch["y"]) ** 2}

    def summarise(self, measured: dict[str, Tensor]) -> dict[str, float]:
        return {"score": -float(measured["error"].double().mean())}

    def decide(self, summary: Mapping[str, float]) -> dict[str, str]:
        return {"sign": "minus" if summary["score"] < 0 else "plus"}
