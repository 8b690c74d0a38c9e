"""Writing the graph of ct_abnormality, and proving that it says what the model says."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from components.core.data.card import Card
from components.core.data.dataset import Dataset
from components.core.data.label_names import names_of
from components.core.engine.task import Batch, Features
from components.core.export.onnx_graph import write_graph
from components.core.export.parity import ParityCheck, spread
from components.core.export.policy import Policy
from components.core.export.watched import watched
from components.core.tta import Picture
from components.core.volumes.extraction import Extraction
from components.core.volumes.limits import VolumeLimits
from components.recipes.ct_abnormality.loading import SLICES
from components.recipes.ct_abnormality.measures import PROBABILITY
from components.recipes.ct_abnormality.model import CtNet
from components.recipes.ct_abnormality.model_config import ModelConfig
from components.recipes.ct_abnormality.operating import FITTED_ON, shifts_in
from components.recipes.ct_abnormality.predictor import GRAPH, CtPredictor, Inference, as_input

Predict = Callable[[nn.Module, Batch, Features], dict[str, Tensor]]
"""The task's `predict`."""


class VolumeGraph(nn.Module):
    """`image` [1, n, 3, s, s] in [0, 1] to probabilities [1, l]; it normalises, but knows no operating point."""

    def __init__(self, model: CtNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Float[Tensor, "1 n 3 s s"]) -> Float[Tensor, "1 l"]:
        """Probability of every label, as the model gives it."""
        logits: Tensor = self.model(image)
        return logits.sigmoid()


def export_model(
    model: CtNet,
    config: ModelConfig,
    predict: Predict,
    dataset: Dataset,
    decision: Mapping[str, str],
    policy: Policy,
    folder: Path,
) -> dict[str, Any]:
    """Write the graph and compare it with the model on test volumes.

    Args:
        model: On the CPU; left in eval mode.
        predict: The task's `predict`: what the shipped path is compared with.
        decision: Holds the operating point.
        folder: Exists.

    Returns:
        The recipe's part of the bundle's metadata.

    Raises:
        ParityError: The graph or the whole path differs from the model by more than the policy allows.
        BadInput: The test split is empty.
    """
    model.eval()
    names = names_of(dataset.card)
    extraction, limits = _cutting(dataset.card)
    settings = Inference(
        image_size=config.image_size,
        slices=config.slices,
        labels=tuple(names),
        shifts=tuple(shifts_in(decision, names).tolist()),
        extraction=extraction,
        limits=limits,
        tta=policy.tta,
    )
    module = VolumeGraph(model).eval()
    side = config.image_size
    example = {"image": torch.full((1, config.slices, 3, side, side), 0.5)}
    write_graph(folder / f"{GRAPH}.onnx", module, example, PROBABILITY, policy.opset)
    parity = _check(module, predict, dataset, settings, policy, folder)
    return _describe(settings, config, dataset, decision, parity)


def _cutting(card: Card) -> tuple[Extraction, VolumeLimits]:
    """How the dataset's slices were cut: those of a new volume must be cut alike."""
    data = card.settings.get("data", {})
    return Extraction.model_validate(data.get("extraction", {})), VolumeLimits.model_validate(data.get("limits", {}))


def _check(
    module: VolumeGraph, predict: Predict, dataset: Dataset, settings: Inference, policy: Policy, folder: Path
) -> dict[str, Any]:
    """Compare every call of the graph with its module, and the averaged answer with the task's own."""
    check = ParityCheck(policy.parity)
    rows = dataset.rows("test")
    for number in spread([row.id for row in rows], policy.parity.images):
        case = rows[number].id
        slices = np.asarray(dataset.array(case, SLICES))
        found = CtPredictor(settings, watched(GRAPH, module, folder, check, case)).vote(slices)
        reference = settings.vote(_reference(module.model, predict), slices)
        check.answer(found.probability, reference.probability, case)
    return check.report()


def _reference(model: CtNet, predict: Predict) -> Callable[[Picture], NDArray[np.float32]]:
    """The task's own prediction of one view, as evaluation runs it."""

    @torch.no_grad()
    def probability(square: Picture) -> NDArray[np.float32]:
        image = torch.from_numpy(as_input(square))
        found: NDArray[np.float32] = predict(model, {"image": image}, {"image": image})[PROBABILITY][0].numpy()
        return found

    return probability


def _describe(
    settings: Inference, config: ModelConfig, dataset: Dataset, decision: Mapping[str, str], parity: Mapping[str, Any]
) -> dict[str, Any]:
    """The recipe's part of `metadata.json`, in the manner of MONAI's bundles."""
    side = config.image_size
    return {
        "task": "detection of several abnormalities in chest CT volumes",
        "inference": settings.model_dump(mode="json"),
        "tta": {**settings.tta.model_dump(mode="json"), "merge": "mean of the probabilities, before the shifts"},
        "pred_classes": {str(number): name for number, name in enumerate(settings.labels)},
        "operating_point": {
            "probability": 0.5,
            "fitted_on": decision.get(FITTED_ON, "nothing"),
            "how": "greatest F1 of each label; its logit is shifted by inference.shifts",
        },
        "prevalence": {name: _share(dataset.card, name) for name in settings.labels},
        "backbone": config.backbone.name,
        "network_data_format": {
            GRAPH: {
                "file": f"{GRAPH}.onnx",
                "inputs": {
                    "image": {
                        "dtype": "float32",
                        "shape": [1, config.slices, 3, side, side],
                        "meaning": "slices from feet to head, inference.extraction's windows as channels, uint8 / 255;"
                        " spread evenly over those that were cut; the graph normalises",
                    }
                },
                "outputs": {PROBABILITY: {"dtype": "float32", "meaning": "of each label, by number, before its shift"}},
            }
        },
        "parity": dict(parity),
    }


def _share(card: Card, name: str) -> float:
    """Share of the train volumes that show a label: where it differs from the reader's, probabilities do not hold."""
    counts = card.label_counts.get(name, {}).get("train")
    known = 0 if counts is None else counts.positive + counts.negative
    return round(counts.positive / known, 6) if counts is not None and known else float("nan")
