"""The supervised U-Net as a task of the engine: the same samples, the same views, the same judgement."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from components.core.baselines.unet import UNet
from components.core.data.dataset import Dataset
from components.core.data.pictures import Pictures, stratum_pictures
from components.core.engine.phase import Phase
from components.core.engine.task import Batch, Examples, Features, Objective, Prefix
from components.core.errors import BadInput
from components.core.export.policy import Policy
from components.core.losses.bce import bce_loss
from components.core.losses.columns import loss_columns, loss_means
from components.core.losses.dice import soft_dice_loss
from components.core.metrics.overlap import dice
from components.recipes.contract import Baseline, CasePrediction, Indicator, RecipeTask, Statistic
from components.recipes.freqmedclip.baselines_config import BaselinesConfig, UnetBaseline
from components.recipes.freqmedclip.data import prompts_of
from components.recipes.freqmedclip.evaluation import score_maps
from components.recipes.freqmedclip.maps import THRESHOLD
from components.recipes.freqmedclip.model_config import Prompting
from components.recipes.freqmedclip.scoring import HEADLINE

TERMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"dice": soft_dice_loss, "bce": bce_loss}
"""Loss terms: logits [b, s, s] and truth [b, s, s] to [b]."""

NAME = "unet"
"""Its name among the results, of its only part, and of its map."""


class UnetTask:
    """A U-Net with one output channel per mask value. It reads no text: the value alone says which channel is meant.

    Args:
        config: Its size.
        targets: Number of mask values with a prompt.
        prompting: How its mask is turned into boxes for the box scores.
        samples: (dataset, split) to the recipe's own examples, with fields `image`, `mask` and `prompt`.
    """

    monitor = "dice"
    mixed: frozenset[str] = frozenset()  # its terms know no mixed masks
    headline = HEADLINE
    ranking = HEADLINE
    statistics: Mapping[str, Statistic] = {}
    lower_is_better = frozenset({"false_positive", "false_positive_area"})
    indicators: Sequence[Indicator] = ()

    def __init__(
        self,
        config: UnetBaseline,
        targets: int,
        prompting: Prompting,
        samples: Callable[[object, str], Examples],
    ) -> None:
        self._config = config
        self._targets = targets
        self._prompting = prompting
        self._samples = samples

    def build_model(self, seed: int) -> UNet:
        """The untrained network: a pure function of the configuration and the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return UNet(outputs=self._targets, width=self._config.width, depth=self._config.depth)

    def parts(self, model: nn.Module) -> dict[str, list[str]]:
        """One part: everything."""
        return {NAME: [name for name, _ in model.named_children()]}

    def encoder(self, model: nn.Module) -> None:
        """It is trained from scratch: that is what it is compared for."""

    def pictures(self, dataset: Dataset, splits: Sequence[str]) -> Pictures:
        """The recipe's."""
        return stratum_pictures(dataset, splits)

    def confusion(self, cases: Sequence[CasePrediction]) -> None:
        """There are no classes."""

    def examples(self, dataset: object, split: str) -> Examples:
        """The recipe's."""
        return self._samples(dataset, split)

    def check(self, losses: Mapping[str, float], examples: Examples, trainable: Collection[str]) -> None:
        """Refuse unknown terms. Raises BadInput."""
        unknown = sorted(set(losses) - set(TERMS))
        if unknown:
            raise BadInput(
                f"the U-Net has no loss {unknown}", where="baselines.unet.phase.losses", remedy=f"use {sorted(TERMS)}"
            )

    def couples(self, losses: Mapping[str, float]) -> str:
        """Nothing does: its norms are per sample."""
        return ""

    def fields(self, losses: Mapping[str, float]) -> frozenset[str]:
        """Pictures and masks; the prompt's row only where it tells targets apart."""
        return frozenset({"image", "mask"} | ({"prompt"} if self._targets > 1 else set()))

    def prefixes(
        self, model: nn.Module, examples: Examples, frozen: frozenset[str], losses: Mapping[str, float]
    ) -> list[Prefix]:
        """Nothing is frozen for long enough to keep."""
        return []

    def logits(self, model: nn.Module, batch: Batch) -> Float[Tensor, "b s s"]:
        """Logits of each sample's own target.

        Pictures with several targets have every target in every split, and prompts that differ, so the row in the
        split's sorted prompts is the same target everywhere.
        """
        channels: Tensor = model(batch["image"])
        if self._targets == 1:
            return channels[:, 0]
        return channels[torch.arange(len(channels), device=channels.device), batch["prompt"]]

    def objective(self, model: nn.Module, batch: Batch, features: Features, losses: Mapping[str, float]) -> Objective:
        """Weighted terms per sample."""
        logits, truth = self.logits(model, batch), batch["mask"][:, 0]
        return Objective({name: weight * TERMS[name](logits, truth) for name, weight in losses.items()})

    @torch.no_grad()
    def predict(self, model: nn.Module, batch: Batch, features: Features) -> dict[str, Tensor]:
        """Probability [b, s, s] of the target."""
        return {NAME: self.logits(model, batch).float().sigmoid()}

    def measure(
        self, model: nn.Module, batch: Batch, features: Features, losses: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """Dice [b] at the image size, NaN for empty truth; loss terms."""
        predicted = self.predict(model, batch, features)[NAME].cpu().numpy() >= THRESHOLD
        truth = batch["mask"][:, 0].cpu().numpy() > THRESHOLD
        found = torch.tensor([dice(ours, theirs) for ours, theirs in zip(predicted, truth, strict=True)])
        return {"dice": found, **loss_columns(self.objective(model, batch, features, losses).terms)}

    def summarise(self, measured: dict[str, Tensor]) -> dict[str, float]:
        """Mean Dice over the samples with a lesion.

        Raises:
            BadInput: No sample has one.
        """
        values = measured["dice"].numpy()
        if np.isnan(values).all():
            raise BadInput(
                "no validation sample holds its target, so nothing tells a good U-Net",
                where="validation split",
                remedy="prepare with more cases, or with another split seed",
            )
        return {"dice": float(np.nanmean(values)), **loss_means(measured)}

    def decide(self, summary: Mapping[str, float]) -> dict[str, str]:
        """There is one mask."""
        return {}

    def evaluation_losses(self) -> Mapping[str, float]:
        """A prediction needs the picture alone; the terms say so."""
        return dict.fromkeys(TERMS, 1.0)

    def score(
        self,
        dataset: Dataset,
        sample: str,
        predicted: Mapping[str, Tensor],
        decision: Mapping[str, str],
        pictures: bool,
    ) -> CasePrediction:
        """Judge one sample at native resolution, like the model."""
        probability = predicted[NAME].float().cpu().numpy()
        return score_maps(
            dataset,
            sample,
            probability,
            probability,
            prompting=self._prompting,
            pictures=pictures,
        )

    def controls(self, dataset: Dataset) -> Mapping[str, Examples]:
        """None: it is asked for a channel, not by a text."""
        return {}

    def baselines(self, seed: int, device: str) -> Sequence[Baseline]:
        """None: it is one itself."""
        return ()

    def trained_baselines(self, dataset: Dataset) -> Mapping[str, tuple[RecipeTask, Phase]]:
        """None: it is one itself."""
        return {}

    def export(
        self, model: nn.Module, dataset: Dataset, decision: Mapping[str, str], policy: Policy, folder: Path
    ) -> dict[str, Any]:
        """Refuse: a yardstick is measured, not shipped. Raises BadInput."""
        raise BadInput("the U-Net is a yardstick and is not exported", where=NAME, remedy="export the recipe's model")


def trained_yardsticks(
    config: BaselinesConfig,
    dataset: Dataset,
    prompting: Prompting,
    samples: Callable[[object, str], Examples],
) -> dict[str, tuple[RecipeTask, Phase]]:
    """The U-Net and its phase, unless it is left out."""
    if config.unet is None:
        return {}
    return {NAME: (UnetTask(config.unet, len(prompts_of(dataset)), prompting, samples), config.unet.phase)}
