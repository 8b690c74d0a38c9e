"""What freqmedclip says of a bundle: inputs, outputs, prompts, thresholds, in the manner of MONAI's bundles."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from components.recipes.freqmedclip.known_prompts import EMBEDDINGS, FILE, KnownPrompts
from components.recipes.freqmedclip.maps import SALIENCY
from components.recipes.freqmedclip.model_config import ModelConfig
from components.recipes.freqmedclip.predictor import SAM_DECODER, SAM_ENCODER, Inference

MEANINGS = {
    "image": "RGB in [0, 1]: uint8 / 255, squashed to the square (area where it shrinks, bilinear where it grows)",
    "text": "a prompt in the joint space of image and text, unit length",
    "embedding": f"output of {SAM_ENCODER}.onnx",
    "saliency": f"output of {SALIENCY}.onnx",
    "boxes": "x0, y0, x1, y1 of each salient component, pixel centres of SAM's square",
    "points": "x, y of the pixel deepest inside each salient component, pixel centres of SAM's square",
}
RESULTS = {
    SALIENCY: ("logits", "saliency before the sigmoid, at a fraction of the image size; wavelet included"),
    SAM_ENCODER: ("embedding", "SAM's image embedding"),
    SAM_DECODER: ("mask_logits", "SAM's mask before the sigmoid, prompts merged by maximum"),
}


def describe(
    settings: Inference,
    config: ModelConfig,
    prompts: KnownPrompts,
    targets: Mapping[int, str],
    examples: Mapping[str, Mapping[str, Tensor]],
    parity: Mapping[str, Any],
    tokeniser: Sequence[str],
) -> dict[str, Any]:
    """The recipe's part of `metadata.json`.

    Args:
        targets: Prompt by mask value of the dataset.
        examples: Inputs by graph.
        parity: What the comparison with the model found.
        tokeniser: Files of the bundle that new prompts need.
    """
    values = {text: value for value, text in targets.items()}
    return {
        "task": "text-prompted segmentation of 2-D medical images",
        "inference": settings.model_dump(mode="json"),
        "tta": {**settings.tta.model_dump(mode="json"), "merge": "mean of the probabilities, each view brought back"},
        "decision": {"mask": settings.mask},
        "thresholds": {"mask": settings.threshold, "prompting": settings.prompting.model_dump(mode="json")},
        "label_classes": {"0": "background", "255": "what the prompt names"},
        "pred_classes": {str(value): text for value, text in sorted(targets.items())},
        "prompts": [{"text": text, "value": values.get(text), "row": row} for row, text in enumerate(prompts.texts)],
        "text": {
            "embeddings": {"file": FILE, "tensor": EMBEDDINGS, "shape": list(prompts.embeddings.shape)},
            "tokeniser": {
                "clip": config.clip.model_dump(mode="json", exclude={"folder", "weights"}),
                "files": tokeniser,
            },
            "known_prompts_need": ["onnxruntime", "numpy", "opencv-python-headless"],
            "new_prompts_need": ["torch", "open_clip_torch", "transformers"],
        },
        "network_data_format": {name: _format(name, inputs) for name, inputs in examples.items()},
        "parity": dict(parity),
    }


def _format(graph: str, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
    name, meaning = RESULTS[graph]
    return {
        "file": f"{graph}.onnx",
        "inputs": {
            key: {"dtype": "float32", "shape": list(value.shape), "meaning": MEANINGS[key]}
            for key, value in inputs.items()
        },
        "outputs": {name: {"dtype": "float32", "meaning": meaning}},
    }
