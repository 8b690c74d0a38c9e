"""Writing freqmedclip's graphs, and proving that they say what the model says."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from components.core.config import validate
from components.core.data.dataset import Dataset
from components.core.engine.task import Batch, Features
from components.core.export.onnx_graph import write_graph
from components.core.export.parity import ParityCheck, spread
from components.core.export.pixels import unit
from components.core.export.policy import Policy
from components.core.export.watched import watched
from components.core.models import clip, sam
from components.core.tta import Picture
from components.recipes.freqmedclip.data import prompts_of, samples
from components.recipes.freqmedclip.export_metadata import describe
from components.recipes.freqmedclip.known_prompts import KnownPrompts
from components.recipes.freqmedclip.maps import SALIENCY
from components.recipes.freqmedclip.model import FreqMedClip
from components.recipes.freqmedclip.model_config import ModelConfig
from components.recipes.freqmedclip.new_prompt import keep_tokeniser
from components.recipes.freqmedclip.predictor import (
    SAM_DECODER,
    SAM_ENCODER,
    FreqMedClipPredictor,
    Inference,
    shown_geometry,
)

Predict = Callable[[nn.Module, Batch, Features], dict[str, Tensor]]


class SaliencyGraph(nn.Module):
    """`image` [1, 3, s, s] RGB in [0, 1] and `text` [1, j] to refined logits [1, 1, r, r], wavelet included."""

    def __init__(self, model: FreqMedClip) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Float[Tensor, "1 3 s s"], text: Float[Tensor, "1 j"]) -> Float[Tensor, "1 1 r r"]:
        tower = self.model.clip
        return self.model.saliency((image - tower.mean) / tower.std, text).refined


class SamEncoderGraph(nn.Module):
    """`image` [1, 3, t, t] RGB in [0, 1] to SAM's embedding [1, e, a, a]."""

    def __init__(self, model: FreqMedClip) -> None:
        super().__init__()
        self.tower = model.sam

    def forward(self, image: Float[Tensor, "1 3 t t"]) -> Float[Tensor, "1 e a a"]:
        return self.tower.embed(sam.normalise(image))


class SamDecoderGraph(nn.Module):
    """`embedding`, `saliency` logits [1, 1, r, r] and the prompts to mask logits [1, 1, m, m], merged by maximum."""

    def __init__(self, model: FreqMedClip) -> None:
        super().__init__()
        self.tower = model.sam
        self.shown = shown_geometry(model.prompting)

    def forward(
        self, embedding: Float[Tensor, "1 e a a"], saliency: Float[Tensor, "1 1 r r"], *geometry: Float[Tensor, "1 k _"]
    ) -> Float[Tensor, "1 1 m m"]:
        prompts = dict(zip(self.shown, geometry, strict=True))
        logits = self.tower.decode(embedding, saliency, prompts.get("boxes"), prompts.get("points"))
        return logits.amax(dim=1, keepdim=True)


def export_model(
    model: FreqMedClip,
    config: ModelConfig,
    predict: Predict,
    dataset: Dataset,
    decision: Mapping[str, str],
    policy: Policy,
    folder: Path,
) -> dict[str, Any]:
    """Write the graphs that the chosen mask needs, the prompts, and the tokeniser's files where there are some.

    Args:
        model: On the CPU; left in eval mode.
        predict: The task's `predict`: what the shipped path is compared with.
        decision: `mask` names the map to ship; the saliency where it is missing.
        folder: Exists.

    Returns:
        The recipe's part of the bundle's metadata.

    Raises:
        ParityError: A graph or the whole path differs from the model by more than the policy allows.
        BadInput: The test split is empty.
    """
    model.eval()
    chosen = {
        "image_size": config.image_size,
        "sam_size": config.sam.image_size,
        "mask": decision.get("mask", SALIENCY),
        "prompting": config.prompting,
        "tta": policy.tta,
    }
    settings = validate(Inference, chosen, "the model's decision")
    prompts = embed_known(model, config, known_texts(dataset))
    modules = _modules(model, settings)
    examples = _examples(model, settings, prompts)
    for name, module in modules.items():
        write_graph(folder / f"{name}.onnx", module, examples[name], OUTPUTS[name], policy.opset)
    prompts.save(folder)
    parity = _check(model, predict, dataset, settings, prompts, modules, policy, folder)
    return describe(settings, config, prompts, prompts_of(dataset), examples, parity, keep_tokeniser(config, folder))


OUTPUTS = {SALIENCY: "logits", SAM_ENCODER: "embedding", SAM_DECODER: "mask_logits"}


def known_texts(dataset: Dataset) -> list[str]:
    """Every prompt of a dataset, those of its values first."""
    targets = prompts_of(dataset)
    found = [targets[value] for value in sorted(targets)]
    for split in dataset.splits:
        found += [sample.prompt for sample in samples(dataset.rows(split), targets)]
    return list(dict.fromkeys(found))


@torch.no_grad()
def embed_known(model: FreqMedClip, config: ModelConfig, texts: Sequence[str]) -> KnownPrompts:
    """Embed texts one by one: a batch would change the last digits."""
    rows = [model.clip.text(model.clip.tokenise([text]))[0].float().numpy() for text in texts]
    return KnownPrompts(tuple(texts), np.stack(rows), config)


def _modules(model: FreqMedClip, settings: Inference) -> dict[str, nn.Module]:
    graphs = {SALIENCY: SaliencyGraph, SAM_ENCODER: SamEncoderGraph, SAM_DECODER: SamDecoderGraph}
    return {name: graphs[name](model).eval() for name in settings.graphs}


@torch.no_grad()
def _examples(model: FreqMedClip, settings: Inference, prompts: KnownPrompts) -> dict[str, dict[str, Tensor]]:
    """Inputs of every graph, of the shapes it will always have."""
    image = torch.full((1, 3, settings.image_size, settings.image_size), 0.5)
    found = {SALIENCY: {"image": image, "text": torch.from_numpy(prompts.embeddings[:1])}}
    if settings.mask == SALIENCY:
        return found
    large = torch.full((1, 3, settings.sam_size, settings.sam_size), 0.5)
    side = model.saliency_head.size
    count = settings.prompting.components
    corners = torch.tensor([0.0, 0.0, 1.0, 1.0]) * (settings.sam_size - 1)
    geometry = {"boxes": corners.repeat(1, count, 1), "points": corners[2:].repeat(1, count, 1) / 2}
    found[SAM_ENCODER] = {"image": large}
    found[SAM_DECODER] = {
        "embedding": model.sam.embed(large),
        "saliency": torch.zeros(1, 1, side, side),
        **{name: geometry[name] for name in shown_geometry(settings.prompting)},
    }
    return found


def _check(
    model: FreqMedClip,
    predict: Predict,
    dataset: Dataset,
    settings: Inference,
    prompts: KnownPrompts,
    modules: Mapping[str, nn.Module],
    policy: Policy,
    folder: Path,
) -> dict[str, Any]:
    """Compare every call of every graph with its module, and the final masks with those of the task."""
    check = ParityCheck(policy.parity)
    test = samples(dataset.rows("test"), prompts_of(dataset))
    for row in spread([sample.id for sample in test], policy.parity.images):
        sample = test[row]
        graphs = {name: watched(name, module, folder, check, sample.id) for name, module in modules.items()}
        text = prompts.embed(sample.prompt)
        image = np.ascontiguousarray(dataset.array(sample.case_id, "image"))
        found = FreqMedClipPredictor(settings, prompts, graphs).probability(image, text)
        expected = settings.probability(_reference(model, predict, settings, text), image)
        check.mask(found >= settings.threshold, expected >= settings.threshold)
    return check.report()


def _reference(
    model: FreqMedClip, predict: Predict, settings: Inference, text: NDArray[np.float32]
) -> Callable[..., NDArray[np.float32]]:
    """The task's own prediction of one view, as evaluation runs it."""

    @torch.no_grad()
    def probability(*squares: Picture) -> NDArray[np.float32]:
        features = {"prompt": torch.from_numpy(text)[None]}
        for large in squares[1:]:
            features["sam:embedding"] = model.sam.embed(sam.normalise(torch.from_numpy(unit(large))))
        batch = {"image": clip.normalise(torch.from_numpy(unit(squares[0])))}
        return predict(model, batch, features)[settings.mask][0].numpy()

    return probability
