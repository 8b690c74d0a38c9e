"""The recipe contract: one complete system, written as values, that stages can run without knowing it.

A recipe has a light side (values, reading, synthetic data: no torch, runs in the cpu image) and a heavy side
(`build()` gives the task that trains, predicts, is scored and exported).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from components.core.data.case import Decoded
from components.core.engine.task import Batch, Examples, Features, Task

if TYPE_CHECKING:
    from torch import Tensor, nn

    from components.core.data.card import Card
    from components.core.data.dataset import Dataset
    from components.core.data.pictures import Pictures
    from components.core.engine.phase import Phase
    from components.core.export.bundle import Bundle
    from components.core.export.policy import Policy
    from components.core.export.prediction import Predictor
    from components.core.report.report import Confusion

Arrays: TypeAlias = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class RawCase:
    """One case found in the user's folder, before it is decoded.

    Attributes:
        id: Unique, readable, stable.
        sources: The files it is made of; they enter the card's digests.
        stratum: Label that splits keep in proportion (a class name, for example).
        load: Decodes the case: arrays by name (`image` uint8 [h, w, 3], `mask` uint8 [h, w], ...), or `Decoded`, where
            decoding tells more: columns of the index, and what the card lists of a volume.
            Raises `components.core.data.quarantine.Unreadable` for a file that cannot be used.
        group: Patient or source; cases of one group never cross a split. None asks `prepare` to infer it.
        attributes: Columns of the dataset's index (caption, prompt, spacing_mm, ...).
        near_duplicate_of: Array name in which `prepare` may look for near-duplicates.
        labelled: False for a picture that nobody labelled: no stratum, no part in the ratios, and only `pretrain`
            sees it (split `unlabelled`).
        labels: For recipes with several labels per case: value in [0, 1] by name, NaN where unknown; the same names in
            the same order in all cases. They become the array `labels` and the card's label names, and take the
            stratum's place when cases are divided.
        resume_key: Where decoding is costly: everything beside settings and files that `load` depends on (a row of a
            table), as text. What was decoded is then kept until the dataset is finished; None keeps nothing.
    """

    id: str
    sources: tuple[Path, ...]
    stratum: str
    load: Callable[[], Arrays | Decoded]
    group: str | None = None
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)
    near_duplicate_of: str = "image"
    labelled: bool = True
    labels: Mapping[str, float] | None = None
    resume_key: str | None = None


@runtime_checkable
class DataSource(Protocol):
    """A recipe's `data:` section."""

    def read(self, raw: Path) -> list[RawCase]:
        """List the cases of a folder or file. Structural faults raise BadInput before anything is decoded."""

    def synthesize(self, folder: Path) -> "DataSource":
        """Write the embedded synthetic data set, labelled synthetic, and return the section that reads it.

        What it shows may need other values (prompts, label names) than the user's own data.
        """


@runtime_checkable
class Recipe(Protocol):
    """A member of the tagged union in `components.recipes`."""

    @property
    def name(self) -> str:
        """Tag in the union."""

    @property
    def data(self) -> DataSource:
        """The `data:` section."""

    def encoder_values(self) -> Mapping[str, Any]:
        """The plain values that decide the encoder which `pretrain` trains: part of that stage's identity."""

    def missing_weights(self) -> list[str]:
        """Which pretrained weights are not on this machine, one line each; empty where `build` needs no download."""

    def weight_files(self) -> Mapping[str, Path]:
        """Files and folders from which `build` takes pretrained weights, by name. Imports no torch.

        Their content decides results, their paths say nothing of it: stages that build the model digest them.
        """

    def untrained(self) -> "Recipe":
        """The same recipe on the same architectures with random weights: for rehearsals and benchmarks."""

    def build(self, card: "Card") -> "RecipeTask":
        """The heavy side, for the dataset that a card describes (its classes, for example). Imports torch."""

    def predictor(self, bundle: "Bundle") -> "Predictor":
        """What answers from a bundle that `RecipeTask.export` wrote. Imports no torch."""


@dataclass(frozen=True)
class CasePrediction:
    """What a model says of one test sample, at the case's native resolution.

    Attributes:
        id: Sample id.
        label: Class or stratum by which results are broken down.
        group: Patient or source: what intervals resample.
        scores: Metrics by name; NaN where undefined for this sample.
        pictures: RGB uint8 pictures by caption for the report (truth, saliency, prediction, ...).
        evidence: Arrays by name that `RecipeTask.statistics` are computed from, of one shape for all samples
            (`truth` [], `probability` [k]); empty where every metric is a mean over samples.
    """

    id: str
    label: str
    group: str
    scores: Mapping[str, float]
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    evidence: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


Statistic: TypeAlias = Callable[[Mapping[str, NDArray[np.float64]]], float]
"""A metric of many samples that is no mean over them (macro F1, AUROC): stacked evidence [n, ...] by name to a number,
NaN where it is undefined. Called once per bootstrap draw, so it should be quick."""


@runtime_checkable
class Baseline(Protocol):
    """A yardstick printed beside every table: fitted on the train split, scored like the model."""

    name: str

    def predict(self, dataset: "Dataset") -> list[CasePrediction]:
        """Fit on train (if there is anything to fit), choose on val, predict test."""


@dataclass(frozen=True)
class Indicator:
    """A number that tells whether training did what it is for; reported, never promised.

    Attributes:
        metric: Of `RecipeTask.statistics` or `CasePrediction.scores` (its mean), both on the test split; else of
            `Task.summarise` (the validation of the weights that a phase hands on).
        hoped: What it should do, in words: "rises with every phase".
    """

    metric: str
    hoped: str


@runtime_checkable
class RecipeTask(Task, Protocol):
    """A task that can also be judged, shown and shipped."""

    headline: str
    """The metric that tables lead with, of `statistics` or else of `CasePrediction.scores`; greater is better."""

    ranking: str
    """The metric of `CasePrediction.scores` that tells the worst samples; greater is better."""

    statistics: Mapping[str, Statistic]
    """Metrics of a whole split, by name, from the samples' evidence; empty where there are none. One that is named
    `measure:class` is told by class."""

    lower_is_better: frozenset[str]
    """Metrics, of `statistics` and `CasePrediction.scores`, whose small values are good."""

    indicators: Sequence[Indicator]
    """What the report says of success before and after every phase."""

    def evaluation_losses(self) -> Mapping[str, float]:
        """Loss terms whose prefixes and fields a full prediction needs (every candidate of `decide`)."""

    def predict(self, model: "nn.Module", batch: Batch, features: Features) -> "dict[str, Tensor]":
        """Candidate predictions by name, each [b, ...], under no_grad."""

    def score(
        self,
        dataset: "Dataset",
        sample: str,
        predicted: "Mapping[str, Tensor]",
        decision: Mapping[str, str],
        pictures: bool,
    ) -> CasePrediction:
        """Judge one sample at native resolution.

        Args:
            sample: Id in `examples(dataset, split).ids`.
            predicted: One row of `predict`, on the CPU.
            decision: Validation's choices; where one is missing, the recipe's default holds.
            pictures: Also paint the pictures for the report.
        """

    def confusion(self, cases: Sequence[CasePrediction]) -> "Confusion | None":
        """Counts of true and predicted classes; None where the recipe does not classify."""

    def pictures(self, dataset: "Dataset", splits: Sequence[str]) -> "Pictures":
        """The pictures of some splits: what `pretrain` looks at (never val or test), and what linear probes fit."""

    def controls(self, dataset: "Dataset") -> Mapping[str, Examples]:
        """The test samples asked wrongly on purpose (other prompts, say), by name; same ids, same order.

        A trained model that does as well on them does not use what it was asked.
        """

    def baselines(self, seed: int, device: str) -> Sequence[Baseline]:
        """Yardsticks that need no training loop.

        Args:
            seed: Of whatever is random in them.
            device: Where those with a model compute, as torch names it.
        """

    def trained_baselines(self, dataset: "Dataset") -> "Mapping[str, tuple[RecipeTask, Phase]]":
        """Yardsticks that the engine trains on the same split (a supervised U-Net, for example)."""

    def export(
        self, model: "nn.Module", dataset: "Dataset", decision: Mapping[str, str], policy: "Policy", folder: Path
    ) -> dict[str, Any]:
        """Write the deployable graphs into a folder, check their parity, and return their metadata.

        Raises:
            ParityError: A graph differs from the model by more than the policy allows.
        """
