"""FreqMedClip as the engine trains it: frozen prefixes, loss terms, validation and its choice of mask."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from components.core.augment.joint import Augment
from components.core.data.dataset import Dataset
from components.core.data.pictures import Pictures, stratum_pictures
from components.core.engine.gather import gather
from components.core.engine.phase import Phase
from components.core.engine.task import Batch, Encoder, Examples, Features, Objective, Prefix
from components.core.errors import BadInput
from components.core.export.policy import Policy
from components.core.losses.columns import LOSS, loss_columns, loss_means
from components.core.losses.contrastive import silent_directions
from components.core.report.report import Confusion
from components.recipes.contract import Baseline, CasePrediction, Indicator, RecipeTask, Statistic
from components.recipes.freqmedclip.baselines import yardsticks
from components.recipes.freqmedclip.baselines_config import BaselinesConfig
from components.recipes.freqmedclip.checks import check_losses
from components.recipes.freqmedclip.data import Sample, prompts_of, samples
from components.recipes.freqmedclip.encoder import vision_encoder
from components.recipes.freqmedclip.evaluation import score
from components.recipes.freqmedclip.examples import SegmentationExamples
from components.recipes.freqmedclip.export import export_model
from components.recipes.freqmedclip.frozen import frozen_prefixes
from components.recipes.freqmedclip.maps import THRESHOLD
from components.recipes.freqmedclip.measures import OF_MASKS, measure_sample
from components.recipes.freqmedclip.model import FreqMedClip, Saliency, build_model, model_groups, model_parts
from components.recipes.freqmedclip.model_config import ModelConfig
from components.recipes.freqmedclip.terms import TERMS, Scene, terms_needing
from components.recipes.freqmedclip.unet_task import trained_yardsticks

CANDIDATES = ("saliency", "sam", "mean")
"""Masks that validation chooses from; of equals, the first."""


class FreqMedClipTask:
    """The recipe at work.

    Args:
        config: The model.
        augment: Views of the train split.
        baselines: Yardsticks beside the model.
    """

    monitor = "dice"
    mixed: frozenset[str] = frozenset()  # its terms know no mixed masks
    headline = "dice"
    ranking = "dice"
    statistics: Mapping[str, Statistic] = {}
    lower_is_better = frozenset({"false_positive", "false_positive_area"})
    indicators: Sequence[Indicator] = (
        Indicator("fusion_alpha", "between 0.2 and 0.4"),
        Indicator("saliency_sharpness", "sharper than the untrained model's"),
        Indicator("prompt_box_tightness", "tighter than the untrained model's"),
        Indicator("dice", "rises with every phase"),
        Indicator("boundary_f1", "rises with every phase"),
    )

    def __init__(self, config: ModelConfig, augment: Augment, baselines: BaselinesConfig | None = None) -> None:
        self.config = config
        self._baselines = baselines or BaselinesConfig()
        self.augment = augment

    def build_model(self, seed: int) -> FreqMedClip:
        """The model on the CPU; random parts are a pure function of the seed."""
        return build_model(self.config, seed)

    def parts(self, model: nn.Module) -> dict[str, list[str]]:
        """Layer groups from head to stem."""
        return model_parts(cast(FreqMedClip, model))

    def groups(self, model: nn.Module) -> dict[str, list[str]]:
        """Layer groups from head to stem."""
        return model_groups(cast(FreqMedClip, model), self.config.sam.random)

    def encoder(self, model: nn.Module) -> Encoder:
        """The vision tower, up to its pooled tokens."""
        return vision_encoder(cast(FreqMedClip, model))

    def pictures(self, dataset: Dataset, splits: Sequence[str]) -> Pictures:
        """Strata are the classes of linear probes."""
        return stratum_pictures(dataset, splits)

    def confusion(self, cases: Sequence[CasePrediction]) -> Confusion | None:
        """There are no classes."""
        return None

    def examples(self, dataset: object, split: str) -> SegmentationExamples:
        """One row per case and target of a split."""
        prepared = cast(Dataset, dataset)
        return self._examples(prepared, samples(prepared.rows(split), prompts_of(prepared)))

    def controls(self, dataset: Dataset) -> Mapping[str, Examples]:
        """Every test target asked for by the prompt of the next one, where there are several."""
        prompts = prompts_of(dataset)
        if len(prompts) == 1:
            return {}
        values = sorted(prompts)
        following = dict(zip(values, [*values[1:], values[0]], strict=True))
        asked = samples(dataset.rows("test"), prompts)
        swapped = [replace(sample, prompt=prompts[following[sample.value]]) for sample in asked]
        return {"swapped prompts": self._examples(dataset, swapped)}

    def _examples(self, dataset: Dataset, chosen: Sequence[Sample]) -> SegmentationExamples:
        return SegmentationExamples(
            dataset,
            chosen,
            size=self.config.image_size,
            sam_size=self.config.sam.image_size,
            augment=self.augment,
        )

    def check(self, losses: Mapping[str, float], examples: Examples, trainable: Collection[str]) -> None:
        """Refuse loss weights that these samples, or what trains, cannot serve. Raises BadInput."""
        captions = cast(SegmentationExamples, examples).captions
        check_losses(losses, captions=captions, sam_is_random=self.config.sam.random, trainable=trainable)

    def couples(self, losses: Mapping[str, float]) -> str:
        """The contrastive term compares the samples of a batch."""
        coupled = terms_needing(losses, "captions")
        return f"{', '.join(coupled)}: each sample's negatives are the rest of its batch" if coupled else ""

    def fields(self, losses: Mapping[str, float]) -> frozenset[str]:
        """The frequency stream always reads the picture."""
        return frozenset({"image", "mask"} | ({"caption"} if terms_needing(losses, "captions") else set()))

    def prefixes(
        self, model: nn.Module, examples: Examples, frozen: frozenset[str], losses: Mapping[str, float]
    ) -> list[Prefix]:
        """Texts once per table, vision up to the first trainable block or the injection, SAM's image encoder.

        Raises:
            BadInput: The text tower or SAM's image encoder is to train: both stay frozen in this recipe.
        """
        rows = cast(SegmentationExamples, examples)
        return frozen_prefixes(
            cast(FreqMedClip, model),
            self.config,
            prompts=rows.prompts,
            captions=rows.captions,
            frozen=frozen,
            losses=losses,
        )

    def objective(self, model: nn.Module, batch: Batch, features: Features, losses: Mapping[str, float]) -> Objective:
        """Weighted terms per sample; what no term needs is not computed."""
        network = cast(FreqMedClip, model)
        saliency = _saliency(network, batch, features)
        scene = Scene(
            saliency=self._at_image_size(saliency.refined),
            truth=batch["mask"][:, 0],
            alpha=network.fusion_gate.fusion_alpha,
            image=saliency.image,
            constants=self.config.objectives,
            caption=features.get("caption"),
            caption_index=batch.get("caption"),
            mask=self._masks(network, saliency, features, training=True) if terms_needing(losses, "masks") else None,
        )
        terms = {name: weight * TERMS[name].value(scene) for name, weight in losses.items() if weight > 0}
        scalars = {"fusion_alpha": float(scene.alpha.detach())}
        if terms_needing(losses, "captions"):
            scalars["contrastive_silent_directions"] = float(silent_directions(gather(batch["caption"])))
        return Objective(terms, scalars)

    def evaluation_losses(self) -> dict[str, float]:
        """What a full prediction needs: SAM."""
        return {"seg": 1.0, "sam_seg": 1.0}

    @torch.no_grad()
    def predict(self, model: nn.Module, batch: Batch, features: Features) -> dict[str, Tensor]:
        """Probabilities [b, s, s] of the candidate masks; without SAM's features the saliency alone.

        An empty saliency gives an empty SAM mask, and so an empty mean.
        """
        network = cast(FreqMedClip, model)
        saliency = _saliency(network, batch, features)
        found = {"saliency": self._at_image_size(saliency.refined).float().sigmoid()}
        if features.keys() & {"sam:embedding", "sam:trunk"}:
            found["sam"] = self._masks(network, saliency, features, training=False).float().sigmoid()
            found["mean"] = (found["saliency"] + found["sam"]) / 2
        return found

    def measure(
        self,
        model: nn.Module,
        batch: Batch,
        features: Features,
        losses: Mapping[str, float],
    ) -> dict[str, Tensor]:
        """Metrics [b] of each candidate mask at the image size, NaN where a sample leaves one undefined; loss terms."""
        candidates = self.predict(model, batch, features)
        truth = batch["mask"][:, 0].cpu().numpy() > THRESHOLD
        values: dict[str, list[float]] = {}
        for place, wanted in enumerate(truth):
            probabilities = {name: value[place].cpu().numpy() for name, value in candidates.items()}
            for name, value in measure_sample(probabilities, wanted, self.config.prompting).items():
                values.setdefault(name, []).append(value)
        measured = {name: torch.tensor(column) for name, column in values.items()}
        alpha = cast(FreqMedClip, model).fusion_gate.fusion_alpha
        measured |= loss_columns(self.objective(model, batch, features, losses).terms)
        return {**measured, "fusion_alpha": alpha.detach().cpu().expand(len(truth)).clone()}

    def summarise(self, measured: dict[str, Tensor]) -> dict[str, float]:
        """Means over the samples that define them; `dice`, `iou`, ... are those of the best candidate.

        Raises:
            BadInput: No sample has anything to segment.
        """
        means = {name: float(np.nanmean(column)) for name, column in _defined(measured).items()}
        means |= loss_means(measured)
        best = self._best(means)
        if best is None:
            raise BadInput(
                "no validation sample holds its target, so nothing tells a good model",
                where="validation split",
                remedy="prepare with more cases, or with another split seed",
            )
        chosen = {name: means[f"{name}_{best}"] for name in OF_MASKS if f"{name}_{best}" in means}
        return {**means, **chosen}

    def decide(self, summary: Mapping[str, float]) -> dict[str, str]:
        """The mask that the validation split prefers."""
        return {"mask": self._best(summary) or CANDIDATES[0]}

    def score(
        self,
        dataset: Dataset,
        sample: str,
        predicted: Mapping[str, Tensor],
        decision: Mapping[str, str],
        pictures: bool,
    ) -> CasePrediction:
        """Judge one sample at native resolution."""
        return score(dataset, sample, predicted, decision, prompting=self.config.prompting, pictures=pictures)

    def baselines(self, seed: int, device: str) -> Sequence[Baseline]:
        """The yardsticks that need no training loop."""
        return yardsticks(self._baselines, self.config, seed, device)

    def trained_baselines(self, dataset: Dataset) -> Mapping[str, tuple[RecipeTask, Phase]]:
        """The supervised U-Net."""
        return trained_yardsticks(self._baselines, dataset, self.config.prompting, self.examples)

    def export(
        self, model: nn.Module, dataset: Dataset, decision: Mapping[str, str], policy: Policy, folder: Path
    ) -> dict[str, Any]:
        """Write the graphs that the chosen mask needs, and compare them with `predict`."""
        return export_model(cast(FreqMedClip, model), self.config, self.predict, dataset, decision, policy, folder)

    @staticmethod
    def _best(means: Mapping[str, float]) -> str | None:
        present = [name for name in CANDIDATES if f"dice_{name}" in means]
        return max(present, key=lambda name: means[f"dice_{name}"], default=None)

    def _masks(
        self, model: FreqMedClip, saliency: Saliency, features: Features, *, training: bool
    ) -> Float[Tensor, "b s s"]:
        trunk = features.get("sam:trunk")
        embedding = features["sam:embedding"] if trunk is None else model.sam.neck(trunk)
        return self._at_image_size(model.masks(embedding, saliency.refined, training=training))

    def _at_image_size(self, logits: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b s s"]:
        size = (self.config.image_size,) * 2
        return F.interpolate(logits, size, mode="bilinear", align_corners=False)[:, 0]


def _saliency(model: FreqMedClip, batch: Batch, features: Features) -> Saliency:
    """Saliency from the cached tokens, where there are some."""
    for name, tokens in features.items():
        if name.startswith("vision:"):
            return model.saliency(batch["image"], features["prompt"], tokens, int(name.removeprefix("vision:")))
    return model.saliency(batch["image"], features["prompt"])


def _defined(measured: dict[str, Tensor]) -> dict[str, Tensor]:
    """Columns of metrics with at least one number."""
    metrics = {name: column for name, column in measured.items() if not name.startswith(LOSS)}
    return {name: column for name, column in metrics.items() if not bool(column.isnan().all())}
