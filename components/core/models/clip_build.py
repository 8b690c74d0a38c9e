"""Large CLIPs: from the hub, from a folder without any network, or untrained."""

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from huggingface_hub import snapshot_download, try_to_load_from_cache
from open_clip import CustomTextCLIP
from open_clip.constants import HF_CONFIG_NAME, HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME
from open_clip.tokenizer import HFTokenizer

from components.core.errors import BadInput
from components.core.models.clip import ClipTower
from components.core.models.clip_config import CLIP_MEAN, CLIP_STD, HubClip, LocalClip
from components.core.models.importing import PICKLED, load_into
from components.core.models.wordpiece import WordPiece

BUNDLED = Path(__file__).parent / "bundled" / "biomedclip"
"""BiomedCLIP's open_clip_config.json, and PubMedBERT's config.json."""

HUB = "hf-hub:"
"""How open_clip tells names of the hub from others."""

HUB_FILES = ("*.json", "*.txt", HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME)
"""What a model's repository holds besides pictures and notebooks."""

BUNDLED_TEXT = (
    "microsoft/BiomedNLP-PubMedBERT-base-uncased-abstract",
    "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract",
)
"""The two names of the text tower whose config is bundled."""


def build_hub(config: HubClip, image_size: int) -> ClipTower:
    """Fetch a pretrained model.

    open_clip takes no revision of a repository, so the files of a given one are fetched and built like any folder.

    Raises:
        BadInput: The model was trained with another normalisation, or has no vision transformer.
    """
    if config.revision is not None:
        repository = config.name.removeprefix(HUB)
        folder = Path(snapshot_download(repository, revision=config.revision, allow_patterns=list(HUB_FILES)))
        safe = folder / HF_SAFE_WEIGHTS_NAME  # a repository may hold the same weights in both formats
        return build_local(LocalClip(folder=folder, weights=safe if safe.is_file() else None), image_size)
    model = open_clip.create_model_from_pretrained(config.name, return_transform=False)
    _require_normalisation(model.visual.preprocess_cfg, config.name)
    _resize(model, image_size)
    return ClipTower(model, open_clip.get_tokenizer(config.name), image_size)


def is_downloaded(config: HubClip) -> bool:
    """Does the download cache hold a hub model's description and its weights?"""
    repository = config.name.removeprefix(HUB)

    def cached(name: str) -> bool:
        return isinstance(try_to_load_from_cache(repository, name, revision=config.revision), str)

    return cached(HF_CONFIG_NAME) and (cached(HF_SAFE_WEIGHTS_NAME) or cached(HF_WEIGHTS_NAME))


def build_untrained(image_size: int) -> ClipTower:
    """BiomedCLIP's architecture with weights from torch's current generator.

    Its tokeniser is not bundled: texts are cut into the pieces of the small vocabulary, at BiomedCLIP's length.
    """
    document = _read_config(BUNDLED)
    model = build_random(document, BUNDLED)
    _resize(model, image_size)
    return ClipTower(model, WordPiece(int(document["model_cfg"]["text_cfg"]["context_length"])), image_size)


def build_local(config: LocalClip, image_size: int) -> ClipTower:
    """Build a pretrained model from a folder.

    Raises:
        BadInput: A file is missing, or the weights do not fit exactly.
    """
    document = _read_config(config.folder)
    _require_normalisation(document.get("preprocess_cfg", {}), str(config.folder))
    model = build_random(document, config.folder)
    load_into(model, config.weights or _only_weights(config.folder))
    _resize(model, image_size)
    context = int(document["model_cfg"]["text_cfg"]["context_length"])
    return ClipTower(model, HFTokenizer(str(config.folder), context_length=context), image_size)


def build_random(document: dict[str, Any], folder: Path) -> CustomTextCLIP:
    """The architecture that an `open_clip_config.json` describes, untrained and without any network."""
    settings = document["model_cfg"]
    text = {**settings["text_cfg"], "hf_model_name": str(_text_folder(settings["text_cfg"], folder))}
    text["hf_model_pretrained"] = False
    vision = {**settings["vision_cfg"], "timm_model_pretrained": False}
    return CustomTextCLIP(settings["embed_dim"], vision, text)


def biomedclip_on_meta() -> CustomTextCLIP:
    """BiomedCLIP without storage: its key names and shapes, for imports."""
    with torch.device("meta"):
        return build_random(_read_config(BUNDLED), BUNDLED)


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / "open_clip_config.json"
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput("no open_clip_config.json in the folder", where=str(folder), remedy="put it there") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"not valid JSON: {error}", where=str(file), remedy="fetch the file again") from error
    settings = document.get("model_cfg", {}) if isinstance(document, dict) else {}
    if not {"embed_dim", "vision_cfg", "text_cfg"} <= set(settings) or "hf_model_name" not in settings["text_cfg"]:
        raise BadInput(
            "the config describes no model with a separate text tower", where=str(file), remedy="use BiomedCLIP's"
        )
    return dict(document)


def _text_folder(text: dict[str, Any], folder: Path) -> Path:
    """Where the text tower's own config.json lies: never a name to be fetched."""
    name = str(text["hf_model_name"])
    candidates = [folder / name, folder, *([BUNDLED] if name in BUNDLED_TEXT else [])]
    for candidate in candidates:
        if (candidate / "config.json").is_file():
            return candidate
    raise BadInput(
        f"no config.json of the text tower {name!r}",
        where=str(folder),
        remedy="put the text tower's config.json into the folder",
    )


def _only_weights(folder: Path) -> Path:
    found = sorted(file for file in folder.iterdir() if file.suffix in (".safetensors", *PICKLED))
    if len(found) != 1:
        raise BadInput(
            f"expected one file of weights, found {[file.name for file in found]}",
            where=str(folder),
            remedy="name the file in clip.weights",
        )
    return found[0]


def _require_normalisation(preprocess: dict[str, Any], where: str) -> None:
    mean, std = preprocess.get("mean", CLIP_MEAN), preprocess.get("std", CLIP_STD)
    if tuple(mean) != CLIP_MEAN or tuple(std) != CLIP_STD:
        raise BadInput(
            f"the model expects images normalised by mean {mean} and std {std}",
            where=where,
            remedy=f"use a model trained with mean {CLIP_MEAN} and std {CLIP_STD}",
        )


def _resize(model: CustomTextCLIP, image_size: int) -> None:
    """Position embeddings for another image size (open_clip's `image_size` does not reach a timm tower)."""
    trunk = model.visual.trunk
    if image_size % trunk.patch_embed.patch_size[0]:
        raise BadInput(
            f"image_size {image_size} is not a multiple of the patch {trunk.patch_embed.patch_size[0]}",
            where="image_size",
            remedy="choose a multiple of the patch",
        )
    if tuple(trunk.patch_embed.img_size) != (image_size, image_size):
        trunk.set_input_size(img_size=image_size)
