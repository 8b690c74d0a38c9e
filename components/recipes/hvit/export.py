"""Writing hvit's graph, and proving that it says what the model says."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from components.core.data.dataset import Dataset
from components.core.data.label_names import names_of
from components.core.engine.task import Batch, Features
from components.core.export.onnx_graph import write_graph
from components.core.export.parity import ParityCheck, spread
from components.core.export.pixels import unit
from components.core.export.policy import Policy
from components.core.export.watched import watched
from components.core.tta import Picture
from components.recipes.hvit.model import HVit
from components.recipes.hvit.model_config import ModelConfig
from components.recipes.hvit.predictor import GRAPH, HVitPredictor, Inference

Predict = Callable[[nn.Module, Batch, Features], dict[str, Tensor]]
"""The task's `predict`."""


class ClassifierGraph(nn.Module):
    """`image` [1, 3, s, s] RGB in [0, 1] to probabilities [1, k]; normalisation and second stream included."""

    def __init__(self, model: HVit) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Float[Tensor, "1 3 s s"]) -> Float[Tensor, "1 k"]:
        logits: Tensor = self.model(image)
        return logits.softmax(dim=1)


def export_model(
    model: HVit, config: ModelConfig, predict: Predict, dataset: Dataset, policy: Policy, folder: Path
) -> dict[str, Any]:
    """Write the graph and compare it with the model on test pictures.

    Args:
        model: On the CPU; left in eval mode.
        predict: The task's `predict`: what the shipped path is compared with.
        folder: Exists.

    Returns:
        The recipe's part of the bundle's metadata.

    Raises:
        ParityError: The graph or the whole path differs from the model by more than the policy allows.
        BadInput: The test split is empty.
    """
    model.eval()
    settings = Inference(image_size=config.image_size, classes=tuple(names_of(dataset.card)), tta=policy.tta)
    module = ClassifierGraph(model).eval()
    example = {"image": torch.full((1, 3, config.image_size, config.image_size), 0.5)}
    write_graph(folder / f"{GRAPH}.onnx", module, example, "probability", policy.opset)
    parity = _check(module, predict, dataset, settings, policy, folder)
    return _describe(settings, config, dataset, parity)


def _check(
    module: ClassifierGraph,
    predict: Predict,
    dataset: Dataset,
    settings: Inference,
    policy: Policy,
    folder: Path,
) -> dict[str, Any]:
    """Compare every call of the graph with its module, and the averaged answer with the task's own."""
    check = ParityCheck(policy.parity)
    rows = dataset.rows("test")
    for number in spread([row.id for row in rows], policy.parity.images):
        case = rows[number].id
        image = np.ascontiguousarray(dataset.array(case, "image"))
        found = HVitPredictor(settings, watched(GRAPH, module, folder, check, case)).vote(image)
        reference = settings.vote(_reference(module.model, predict), image)
        check.answer(found.probability, reference.probability, case)
    return check.report()


def _reference(model: HVit, predict: Predict) -> Callable[[Picture], NDArray[np.float32]]:
    """The task's own prediction of one view, as evaluation runs it."""

    @torch.no_grad()
    def probability(square: Picture) -> NDArray[np.float32]:
        image = torch.from_numpy(unit(square))
        found: NDArray[np.float32] = predict(model, {"image": image}, {"image": image})["probability"][0].numpy()
        return found

    return probability


def _describe(settings: Inference, config: ModelConfig, dataset: Dataset, parity: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's part of `metadata.json`, in the manner of MONAI's bundles."""
    side = config.image_size
    return {
        "task": "classification of 2-D pictures into exclusive classes",
        "inference": settings.model_dump(mode="json"),
        "tta": {**settings.tta.model_dump(mode="json"), "merge": "mean of the probabilities"},
        "pred_classes": {str(number): name for number, name in enumerate(settings.classes)},
        "prevalence": _prevalence(dataset, settings),
        "calibration": "none applied; eval_metrics.metrics.ece is the expected calibration error on the test split",
        "backbone": config.backbone.name,
        "network_data_format": {
            GRAPH: {
                "file": f"{GRAPH}.onnx",
                "inputs": {
                    "image": {
                        "dtype": "float32",
                        "shape": [1, 3, side, side],
                        "meaning": "RGB in [0, 1]: uint8 / 255, squashed to the square (area where it shrinks, bilinear"
                        " where it grows); the graph normalises",
                    }
                },
                "outputs": {"probability": {"dtype": "float32", "meaning": "of each class, by number; sums to 1"}},
            }
        },
        "parity": dict(parity),
    }


def _prevalence(dataset: Dataset, settings: Inference) -> dict[str, float]:
    """Share of each class among the train pictures: where it differs from the reader's, probabilities do not hold."""
    counts = dataset.card.counts.get("train", {})
    total = sum(counts.values())
    return {name: round(counts.get(name, 0) / total, 6) if total else float("nan") for name in settings.classes}
