"""CtNet as the engine trains it: frozen prefix, loss terms, validation, operating point; and how it is judged."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from components.core.data.card import Card
from components.core.data.dataset import Dataset
from components.core.data.label_names import names_of
from components.core.data.pictures import Pictures
from components.core.engine.phase import Phase
from components.core.engine.task import Batch, Encoder, Examples, Features, Objective, Prefix
from components.core.errors import BadInput
from components.core.export.policy import Policy
from components.core.losses.columns import loss_columns
from components.core.losses.weights import check_weights, require_a_loss
from components.core.metrics.multilabel import statistics
from components.core.models.layer_groups import HEAD
from components.core.models.tower import backbone_groups, picture_encoder
from components.recipes.contract import Baseline, CasePrediction, Indicator, RecipeTask, Statistic
from components.recipes.ct_abnormality.augment_config import CtAugment
from components.recipes.ct_abnormality.baselines import yardsticks
from components.recipes.ct_abnormality.examples import VolumeExamples
from components.recipes.ct_abnormality.export import export_model
from components.recipes.ct_abnormality.frozen import frozen_prefixes, scores_from
from components.recipes.ct_abnormality.measures import PROBABILITY, TRUTH, shifts_of, summary_of
from components.recipes.ct_abnormality.model import CtNet, build_model, model_parts
from components.recipes.ct_abnormality.model_config import ModelConfig
from components.recipes.ct_abnormality.operating import decision_of, shifted
from components.recipes.ct_abnormality.pictures import middle_slices
from components.recipes.ct_abnormality.scoring import VARIANCE, judge
from components.recipes.ct_abnormality.terms import LABELS, TERMS, loss_terms, present_weights

TELLING = "telling"
"""Prediction [b, n l]: what each slice added to each label's score."""


class CtTask:
    """The recipe at work.

    Args:
        config: The model.
        augment: Views of the train split.
        card: Of the dataset: its labels and how common they are.
    """

    monitor = "auroc_macro"
    headline = "auroc_macro"
    ranking = "probability_of_truth"
    lower_is_better = frozenset({"log_loss", VARIANCE})
    mixed = frozenset({"image"})
    indicators: Sequence[Indicator] = (
        Indicator("auroc_macro", "rises with every phase"),
        Indicator("f1_macro", "rises with every phase"),
        Indicator("crg", "rises with every phase, above 1/3"),
    )

    def __init__(self, config: ModelConfig, augment: CtAugment, card: Card) -> None:
        self.config = config
        self.augment = augment
        self.names = names_of(card)
        """Names of the labels, by number."""
        self.statistics: Mapping[str, Statistic] = statistics(self.names)
        self._pos_weight = present_weights(config.objectives, self.names, card)

    def build_model(self, seed: int) -> CtNet:
        """The model on the CPU; random parts are a pure function of the seed."""
        return build_model(self.config, len(self.names), seed, sorted(set(self.augment.sizes.values())))

    def parts(self, model: nn.Module) -> dict[str, list[str]]:
        """Layer groups from head to stem."""
        return model_parts(cast(CtNet, model))

    def groups(self, model: nn.Module) -> dict[str, list[str]]:
        """Layer groups from head to stem; the attention learns with the head."""
        return {HEAD: ["head", "attention"], **backbone_groups(cast(CtNet, model).backbone)}

    def encoder(self, model: nn.Module) -> Encoder:
        """The backbone, up to its pooled map."""
        return picture_encoder(cast(CtNet, model).backbone)

    def pictures(self, dataset: Dataset, splits: Sequence[str]) -> Pictures:
        """The middle slice of every volume."""
        return middle_slices(dataset, splits)

    def examples(self, dataset: object, split: str) -> VolumeExamples:
        """One row per volume of a split.

        Raises:
            BadInput: The dataset has no labels. (Pre-training needs none.)
        """
        if not self.names:
            raise BadInput(
                "the dataset has no labels to learn",
                where="card.json: label_names",
                remedy="prepare volumes with a table of labels; without one only pretrain can use them",
            )
        prepared = cast(Dataset, dataset)
        return VolumeExamples(
            prepared,
            prepared.rows(split),
            slices=self.config.slices,
            size=self.config.image_size,
            augment=self.augment,
            sizes=self.augment.sizes,
        )

    def controls(self, dataset: Dataset) -> Mapping[str, Examples]:
        """There is nothing to ask wrongly."""
        return {}

    def check(self, losses: Mapping[str, float], examples: Examples, trainable: Collection[str]) -> None:
        """Refuse loss weights that say nothing. Raises BadInput."""
        check_weights(losses, TERMS)
        require_a_loss(losses, TERMS)

    def couples(self, losses: Mapping[str, float]) -> str:
        """Every volume is its own, also where it was mixed with another before."""
        return ""

    def fields(self, losses: Mapping[str, float]) -> frozenset[str]:
        """Slices are for the prefixes to read."""
        return frozenset({LABELS})

    def prefixes(
        self, model: nn.Module, examples: Examples, frozen: frozenset[str], losses: Mapping[str, float]
    ) -> list[Prefix]:
        """The backbone up to its first layer that trains, or the vectors of the slices."""
        return frozen_prefixes(cast(CtNet, model), self.config, frozen)

    def objective(self, model: nn.Module, batch: Batch, features: Features, losses: Mapping[str, float]) -> Objective:
        """Weighted terms per volume."""
        scores = scores_from(cast(CtNet, model), features)
        return Objective(loss_terms(scores.taught, batch, losses, self.config.objectives, self._pos_weight))

    def evaluation_losses(self) -> dict[str, float]:
        """A prediction needs the same whatever the losses are."""
        return {"bce": 1.0}

    @torch.no_grad()
    def predict(self, model: nn.Module, batch: Batch, features: Features) -> dict[str, Tensor]:
        """`probability` [b, l] before any operating point, and `telling` [b, n l] for the report."""
        scores = scores_from(cast(CtNet, model), features)
        return {
            PROBABILITY: scores.logits.float().sigmoid(),
            TELLING: (scores.weights * scores.slices).float().flatten(1),
        }

    def measure(
        self, model: nn.Module, batch: Batch, features: Features, losses: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """Labels, probabilities and loss terms of each volume."""
        scores = scores_from(cast(CtNet, model), features)
        terms = loss_terms(scores.taught, batch, losses, self.config.objectives, self._pos_weight)
        return {TRUTH: batch[LABELS], PROBABILITY: scores.logits.float().sigmoid(), **loss_columns(terms)}

    def summarise(self, measured: dict[str, Tensor]) -> dict[str, float]:
        """Macro AUROC and AUPRC, and losses. Raises BadInput without samples."""
        return summary_of(measured)

    def decide(self, summary: Mapping[str, float]) -> dict[str, str]:
        """Nothing while training; the operating point is fitted at its end."""
        return {}

    def fit(self, measured: dict[str, Tensor], split: str) -> dict[str, str]:
        """The shift of each label's logit that puts its operating point at one half."""
        return decision_of(shifts_of(measured), self.names, split)

    def score(
        self,
        dataset: Dataset,
        sample: str,
        predicted: Mapping[str, Tensor],
        decision: Mapping[str, str],
        pictures: bool,
    ) -> CasePrediction:
        """Judge one volume, at the operating point that was fitted."""
        found = {name: np.asarray(value.detach().double().cpu().numpy()) for name, value in predicted.items()}
        telling = found.get(TELLING)
        return judge(
            dataset,
            sample,
            shifted(found[PROBABILITY], decision, self.names),
            self.names,
            variance=found.get(f"{PROBABILITY}:variance"),
            telling=None if telling is None else telling.reshape(-1, len(self.names)),
            pictures=pictures,
        )

    def confusion(self, cases: Sequence[CasePrediction]) -> None:
        """Labels do not exclude each other: there is none."""

    def baselines(self, seed: int, device: str) -> Sequence[Baseline]:
        """How common labels are, and a linear model on histograms of grey levels."""
        return yardsticks(self.names)

    def trained_baselines(self, dataset: Dataset) -> Mapping[str, tuple[RecipeTask, Phase]]:
        """None: another backbone or strategy is another run of this recipe, by one key."""
        return {}

    def export(
        self, model: nn.Module, dataset: Dataset, decision: Mapping[str, str], policy: Policy, folder: Path
    ) -> dict[str, Any]:
        """Write the graph, and compare it with `predict`."""
        return export_model(cast(CtNet, model), self.config, self.predict, dataset, decision, policy, folder)
