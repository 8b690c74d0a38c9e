"""HVit as the engine trains it: frozen prefix, loss terms, validation; and how it is judged."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from components.core.augment.severity import Severity
from components.core.data.card import Card
from components.core.data.dataset import Dataset
from components.core.data.label_names import names_of
from components.core.data.pictures import Pictures, stratum_pictures
from components.core.engine.phase import Phase
from components.core.engine.task import Batch, Encoder, Examples, Features, Objective, Prefix
from components.core.errors import BadInput
from components.core.export.policy import Policy
from components.core.losses.columns import loss_columns
from components.core.losses.weights import check_weights, require_a_loss
from components.core.models.layer_groups import HEAD
from components.core.models.tower import backbone_groups, picture_encoder
from components.core.report.report import Confusion
from components.recipes.contract import Baseline, CasePrediction, Indicator, RecipeTask, Statistic
from components.recipes.hvit.baselines import yardsticks
from components.recipes.hvit.examples import ClassExamples
from components.recipes.hvit.export import export_model
from components.recipes.hvit.fraction import Labels
from components.recipes.hvit.frozen import frozen_prefixes, scores_from
from components.recipes.hvit.measures import summary_of
from components.recipes.hvit.model import HVit, build_model, model_parts
from components.recipes.hvit.model_config import ModelConfig
from components.recipes.hvit.scoring import confusion, judge, statistics
from components.recipes.hvit.terms import TERMS, class_weights, loss_terms

FEWEST = 2
"""Classes that there must be to tell apart."""


class HVitTask:
    """The recipe at work.

    Args:
        config: The model.
        augment: Views of the train split.
        labels: How many labels of the train split may be seen.
        card: Of the dataset: its classes and how common they are.
    """

    monitor = "f1_macro"
    headline = "f1_macro"
    ranking = "probability_of_truth"
    lower_is_better = frozenset({"ece", "nll"})
    mixed = frozenset({"image"})
    indicators: Sequence[Indicator] = (
        Indicator("accuracy", "rises with every phase"),
        Indicator("f1_macro", "rises with every phase"),
        Indicator("ece", "stays small"),
    )

    def __init__(self, config: ModelConfig, augment: Severity, labels: Labels, card: Card) -> None:
        self.config = config
        self.augment = augment
        self.labels = labels
        self.classes = names_of(card)
        """Names of the classes, by number."""
        self.statistics: Mapping[str, Statistic] = statistics(self.classes)
        self._weights = class_weights(config.objectives, self.classes, card)

    def build_model(self, seed: int) -> HVit:
        """The model on the CPU; random parts are a pure function of the seed."""
        return build_model(self.config, len(self.classes), seed)

    def parts(self, model: nn.Module) -> dict[str, list[str]]:
        """Layer groups from head to stem."""
        return model_parts(cast(HVit, model))

    def groups(self, model: nn.Module) -> dict[str, list[str]]:
        """Layer groups from head to stem; DFCA learns with the head."""
        return {HEAD: ["head", "dfca"], **backbone_groups(cast(HVit, model).backbone)}

    def encoder(self, model: nn.Module) -> Encoder:
        """The backbone, up to its pooled map."""
        return picture_encoder(cast(HVit, model).backbone)

    def pictures(self, dataset: Dataset, splits: Sequence[str]) -> Pictures:
        """Labels are those of the whole split, however few of them fine-tuning may see."""
        return stratum_pictures(dataset, splits)

    def examples(self, dataset: object, split: str) -> ClassExamples:
        """One row per picture of a split; of train, those whose labels may be seen.

        Raises:
            BadInput: The dataset has fewer than two classes. (Pre-training needs none.)
        """
        if len(self.classes) < FEWEST:
            raise BadInput(
                f"a classifier needs two classes, the dataset has {len(self.classes)}",
                where="card.json: label_names",
                remedy="prepare labelled pictures of two classes or more",
            )
        prepared = cast(Dataset, dataset)
        rows = prepared.rows(split)
        return ClassExamples(
            prepared,
            self.labels.choose(rows) if split == "train" else rows,
            classes=self.classes,
            size=self.config.image_size,
            augment=self.augment,
        )

    def controls(self, dataset: Dataset) -> Mapping[str, Examples]:
        """There is nothing to ask wrongly."""
        return {}

    def check(self, losses: Mapping[str, float], examples: Examples, trainable: Collection[str]) -> None:
        """Refuse loss weights that say nothing. Raises BadInput."""
        check_weights(losses, TERMS)
        require_a_loss(losses, TERMS)

    def couples(self, losses: Mapping[str, float]) -> str:
        """Every sample is its own, also where it was mixed with another before."""
        return ""

    def fields(self, losses: Mapping[str, float]) -> frozenset[str]:
        """Pictures are for the prefixes to read."""
        return frozenset({"label"})

    def prefixes(
        self, model: nn.Module, examples: Examples, frozen: frozenset[str], losses: Mapping[str, float]
    ) -> list[Prefix]:
        """The backbone up to its first layer that trains, and the second stream."""
        return frozen_prefixes(cast(HVit, model), self.config, frozen)

    def objective(self, model: nn.Module, batch: Batch, features: Features, losses: Mapping[str, float]) -> Objective:
        """Weighted terms per sample."""
        logits = scores_from(cast(HVit, model), features).logits
        return Objective(loss_terms(logits, batch, losses, self.config.objectives, self._weights))

    def evaluation_losses(self) -> dict[str, float]:
        """A prediction needs the same whatever the losses are."""
        return {"ce": 1.0}

    @torch.no_grad()
    def predict(self, model: nn.Module, batch: Batch, features: Features) -> dict[str, Tensor]:
        """`probability` [b, k], and maps for the report.

        `relevance` [b, h, w] is what each place of the backbone's map adds to the likeliest class's score; with DFCA,
        `attention` [b, g, g] is how much each place of the second stream was looked at.
        """
        network = cast(HVit, model)
        scores = scores_from(network, features, explain=True)
        logits = scores.logits.float()
        found = {"probability": logits.softmax(dim=1)}
        found["relevance"] = network.head.relevance(scores.tokens, logits.argmax(dim=1))
        if scores.attention is not None:
            found["attention"] = scores.attention.float()
        return found

    def measure(
        self, model: nn.Module, batch: Batch, features: Features, losses: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """Truth, probabilities and loss terms of each sample."""
        logits = scores_from(cast(HVit, model), features).logits
        terms = loss_terms(logits, batch, losses, self.config.objectives, self._weights)
        return {"truth": batch["label"], "probability": logits.float().softmax(dim=1), **loss_columns(terms)}

    def summarise(self, measured: dict[str, Tensor]) -> dict[str, float]:
        """Accuracy, macro F1, balanced accuracy, calibration error and losses. Raises BadInput without samples."""
        return summary_of(measured)

    def decide(self, summary: Mapping[str, float]) -> dict[str, str]:
        """The most probable class is the answer: nothing to choose."""
        return {}

    def score(
        self,
        dataset: Dataset,
        sample: str,
        predicted: Mapping[str, Tensor],
        decision: Mapping[str, str],
        pictures: bool,
    ) -> CasePrediction:
        """Judge one sample; the maps among what was predicted are for its pictures."""
        arrays = {name: np.asarray(value.detach().float().cpu().numpy()) for name, value in predicted.items()}
        probability, maps = arrays["probability"], {name: one for name, one in arrays.items() if one.ndim > 1}
        return judge(dataset, sample, probability, self.classes, maps=maps, pictures=pictures)

    def confusion(self, cases: Sequence[CasePrediction]) -> Confusion:
        """Counts of true and predicted classes."""
        return confusion(cases, self.classes)

    def baselines(self, seed: int, device: str) -> Sequence[Baseline]:
        """The commonest class, and a linear model on colours."""
        return yardsticks(self.classes, self.labels)

    def trained_baselines(self, dataset: Dataset) -> Mapping[str, tuple[RecipeTask, Phase]]:
        """None: another backbone is another run of this recipe, by one key."""
        return {}

    def export(
        self, model: nn.Module, dataset: Dataset, decision: Mapping[str, str], policy: Policy, folder: Path
    ) -> dict[str, Any]:
        """Write the graph, and compare it with `predict`."""
        return export_model(cast(HVit, model), self.config, self.predict, dataset, policy, folder)
