"""What the engine trains: the small protocol between the loop, which knows no recipe, and a recipe.

Everything is per sample. Objectives and measurements return one value per sample of the batch, so that
accumulation, micro-batch halving and the naming of a non-finite sample are exact without the recipe's help.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:  # annotations only: Config classes import this module's neighbours without torch
    from collections.abc import Callable

    from torch import Tensor, nn

Batch: TypeAlias = "dict[str, Tensor]"
"""Named tensors whose first dimension is the sample. `row` (int64) is always there: the row in the split."""

Features: TypeAlias = "dict[str, Tensor]"
"""Outputs of frozen prefixes by `Prefix.name`, first dimension the sample: from the cache or computed now."""

ViewKey: TypeAlias = tuple[int, ...]
"""Integers that decide a source's augmentation, and nothing else does. The empty tuple is the identity view."""


@runtime_checkable
class Examples(Protocol):
    """The samples of one split, loadable in any order."""

    @property
    def ids(self) -> Sequence[str]:
        """Sample ids, one per row."""

    @property
    def sources(self) -> Sequence[int]:
        """Number of each row's source (its picture, say), counted from 0 in the order of first appearance.

        Rows of one source are augmented alike and share the features of frozen layers, which read the source
        and its view alone.
        """

    @property
    def digest(self) -> str:
        """Digest of the samples and of the preprocessing: part of every cache key."""

    def load(self, rows: Sequence[int], keys: Sequence[ViewKey], fields: frozenset[str]) -> "Batch":
        """Load the named fields of some rows; each row is augmented by its own key. Thread-safe.

        Returns:
            CPU tensors, first dimension len(rows), plus `row`.
        """


@dataclass(frozen=True)
class Prefix:
    """A frozen piece of a model whose output depends on nothing that trains.

    Attributes:
        name: Name of its output among the features, for example `vision:10`.
        parts: Model parts whose weights it reads; all must be frozen.
        fields: Batch fields that `compute` reads; without a table they must depend on the source and view alone.
        compute: Batch (on the model's device, model in eval mode) to a tensor whose first dimension is the sample.
        table: Inputs shared by many samples (token ids of the distinct prompts); `compute` then reads `table`
            rows instead of samples and runs once per table.
        index: With `table`: the batch field (int64) that holds each sample's row of the table.
        signature: Anything else that decides the output (architecture, resolution).
        kept: Whether the cache may keep it; not where reading it back would save nothing (the picture as it is).
    """

    name: str
    parts: tuple[str, ...]
    fields: frozenset[str]
    compute: "Callable[[Batch], Tensor]"
    table: "Batch | None" = None
    index: str = ""
    signature: str = ""
    kept: bool = True


@dataclass(frozen=True)
class Encoder:
    """The part of a model that turns a picture into a vector: what `pretrain` trains and hands on.

    Attributes:
        module: Its tensors are those that are handed on, by their names in it: a model of another recipe with the same
            encoder can take them.
        embed: RGB pictures [b, 3, size, size] in [0, 1] to vectors [b, width]; the normalisation is its own.
        size: Side of the pictures, pixels.
        width: Length of the vectors.
    """

    module: "nn.Module"
    embed: "Callable[[Tensor], Tensor]"
    size: int
    width: int


@dataclass(frozen=True)
class Objective:
    """One batch's losses.

    Attributes:
        terms: Loss terms by name, each [b], already weighted; the loss is their sum, averaged over samples.
        scalars: Values to log beside them.
    """

    terms: "dict[str, Tensor]"
    scalars: dict[str, float] = field(default_factory=dict)


class Task(Protocol):
    """A model and what its batches mean."""

    monitor: str
    """Key of `summarise` that says how good a model is; greater is better."""

    mixed: frozenset[str]
    """Batch fields that `Phase.mix` mixes as pixels, [b, ..., h, w]; empty where the objective knows no mixed labels.

    In a mixed batch these fields hold what was mixed; every other field f but `row` also exists as `f:partner`, and
    `mix` [b] is the weight of the sample's own label: a loss is mix * L(f) + (1 - mix) * L(f:partner). Batches that
    are measured or predicted are never mixed.
    """

    def build_model(self, seed: int) -> "nn.Module":
        """The untrained (or pretrained) model on the CPU: a pure function of the recipe and the seed."""

    def parts(self, model: "nn.Module") -> dict[str, list[str]]:
        """Named layer groups from head to stem, each a list of prefixes of parameter and buffer names.

        Every parameter and buffer belongs to exactly one part.
        """

    def encoder(self, model: "nn.Module") -> Encoder | None:
        """The part of the model that `pretrain` can train, in place; None where the model has none."""

    def examples(self, dataset: object, split: str) -> Examples:
        """The samples of one split of a prepared dataset (components.core.data.dataset.Dataset)."""

    def check(self, losses: Mapping[str, float], examples: Examples, trainable: Collection[str]) -> None:
        """Refuse loss weights that these samples, or what trains, cannot serve.

        Args:
            losses: The phase's weights by term.
            trainable: The parts that train.

        Raises:
            BadInput: Naming the key.
        """

    def couples(self, losses: Mapping[str, float]) -> str:
        """Why one sample's loss depends on the other samples of the batch; empty where it does not."""

    def fields(self, losses: Mapping[str, float]) -> frozenset[str]:
        """Batch fields that `objective` reads besides what the prefixes read."""

    def prefixes(
        self, model: "nn.Module", examples: Examples, frozen: frozenset[str], losses: Mapping[str, float]
    ) -> list[Prefix]:
        """The frozen work of a phase: as long a prefix of each tower as the frozen parts allow."""

    def objective(
        self, model: "nn.Module", batch: "Batch", features: "Features", losses: Mapping[str, float]
    ) -> Objective:
        """Losses of a batch. `losses` are the phase's weights by term."""

    def measure(
        self, model: "nn.Module", batch: "Batch", features: "Features", losses: Mapping[str, float]
    ) -> "dict[str, Tensor]":
        """What `summarise` needs of a validation batch, one row per sample; under no_grad."""

    def summarise(self, measured: "dict[str, Tensor]") -> dict[str, float]:
        """Metrics of a whole split from the concatenated measurements (identity views, CPU)."""

    def decide(self, summary: Mapping[str, float]) -> dict[str, str]:
        """Choices that validation makes (which mask to predict, say), recorded with the model. May be empty."""


@runtime_checkable
class Fits(Protocol):
    """A task that makes choices once training has ended, of the weights that are handed on (an operating point)."""

    def fit(self, measured: "dict[str, Tensor]", split: str) -> dict[str, str]:
        """Choices, recorded with the model beside those of `Task.decide`.

        Args:
            measured: Concatenated measurements of `split`, as `Task.summarise` gets them.
            split: `calibration` where the dataset has such a part, else `val`.
        """


@runtime_checkable
class Grouped(Protocol):
    """A task whose model's parts stand in layer groups (core.models.layer_groups), as strategies need them."""

    def groups(self, model: "nn.Module") -> dict[str, list[str]]:
        """Parts by layer group, from head to stem. A group may be empty; a part without one stays out of strategies."""
