"""Linear probes: what an encoder alone tells of the classes, judged like the model itself."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from components.core.augment.joint import resize_image
from components.core.contrastive.probe import fit_probe
from components.core.data.dataset import Dataset
from components.core.data.pictures import Pictures
from components.core.engine.device import Device
from components.core.engine.task import Encoder
from components.core.errors import BadInput
from components.recipes.contract import CasePrediction, RecipeTask

WHITE = 255.0


def probe_cases(
    task: RecipeTask,
    model: nn.Module,
    dataset: Dataset,
    device: Device,
    batch_size: int,
    heartbeat: Callable[[], None],
) -> list[CasePrediction]:
    """Fit logistic regression on the frozen encoder's features of the labelled train pictures, answer test.

    Args:
        task: One that classifies: what it scores is `probability` [k], k classes.
        model: Holds the encoder, on the device.
        heartbeat: Called after every batch.

    Raises:
        BadInput: The model has no encoder, or no train picture is labelled.
    """
    encoder = task.encoder(model)
    if encoder is None:
        raise BadInput("a linear probe needs an encoder, and this model has none", remedy="set evaluate.probes: false")
    train, test = task.pictures(dataset, ("train",)), task.pictures(dataset, ("test",))
    labelled = [row for row, label in enumerate(train.labels) if label >= 0]
    if not labelled:
        raise BadInput("no train picture is labelled", where=str(dataset.folder), remedy="set evaluate.probes: false")
    model.eval()
    features = embed(encoder, train, labelled, device, batch_size, heartbeat)
    labels = np.asarray([train.labels[row] for row in labelled], dtype=np.int64)
    answer = fit_probe(features, labels, len(_classes(task)))
    asked = embed(encoder, test, range(len(test.ids)), device, batch_size, heartbeat)
    rows = torch.from_numpy(np.asarray(answer(asked), dtype=np.float32))
    return [
        task.score(dataset, sample, {"probability": row}, {}, pictures=False)
        for sample, row in zip(test.ids, rows, strict=True)
    ]


def classifies(task: RecipeTask) -> bool:
    """Are there classes that a probe could be asked for?"""
    return task.confusion([]) is not None


def _classes(task: RecipeTask) -> Sequence[str]:
    found = task.confusion([])
    return [] if found is None else found.labels


@torch.no_grad()
def embed(
    encoder: Encoder,
    pictures: Pictures,
    rows: Sequence[int],
    device: Device,
    batch_size: int,
    heartbeat: Callable[[], None],
) -> Float[np.ndarray, "n d"]:
    """The encoder's vectors of some pictures, as they are."""
    found = [np.zeros((0, encoder.width), np.float32)]
    for start in range(0, len(rows), batch_size):
        chosen = rows[start : start + batch_size]
        shown = np.stack([resize_image(pictures.load(row), encoder.size) for row in chosen])
        batch = torch.from_numpy(shown.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(WHITE))
        with device.autocast():
            found.append(encoder.embed(batch.to(device.device)).float().cpu().numpy())
        heartbeat()
    return np.concatenate(found)
