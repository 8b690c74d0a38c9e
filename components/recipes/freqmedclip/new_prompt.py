"""The embedding of a prompt that a bundle does not know: the one part of prediction that needs torch."""

import json
import shutil
from pathlib import Path

import numpy as np
import safetensors
import torch
from jaxtyping import Float
from open_clip.tokenizer import HFTokenizer

from components.core.engine.snapshot import put
from components.core.errors import BadInput
from components.core.export.bundle import WEIGHTS, Bundle
from components.core.models.clip import ClipTower
from components.core.models.clip_build import build_random
from components.core.models.clip_config import LocalClip
from components.recipes.freqmedclip.model_config import ModelConfig

CLIP = "clip"
"""Folder of a bundle with the CLIP's configuration and tokeniser, where they came from a folder."""

CONFIG = "open_clip_config.json"
TEXT = "clip.model.text."
SMALL = 16 << 20
"""Bytes above which a file beside the weights is no tokeniser's."""


def embed_prompt(bundle: Bundle, config: ModelConfig, prompt: str) -> Float[np.ndarray, "j"]:
    """Embed a text with the bundle's text tower.

    Raises:
        BadInput: The tower's configuration cannot be had, or the weights do not fit it.
    """
    tower = _tower(bundle.folder, config)
    path = bundle.folder / WEIGHTS
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(TEXT)]  # noqa: SIM118  it is no mapping
            put(tower, {name.removeprefix("clip."): file.get_tensor(name) for name in names})
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        raise BadInput(
            f"the text tower's weights do not fit: {error}", where=str(path), remedy="export again"
        ) from error
    tower.eval()
    with torch.no_grad():
        embedded = tower.text(tower.tokenise([prompt]))
    return embedded[0].float().numpy()


def _tower(folder: Path, config: ModelConfig) -> ClipTower:
    """The architecture; its text weights come from the bundle."""
    own = folder / CLIP
    if not own.is_dir():
        with torch.random.fork_rng(devices=[]):
            return config.clip.build(config.image_size)
    document = json.loads((own / CONFIG).read_text(encoding="utf-8"))
    context = int(document["model_cfg"]["text_cfg"]["context_length"])
    return ClipTower(build_random(document, own), HFTokenizer(str(own), context_length=context), config.image_size)


def keep_tokeniser(config: ModelConfig, folder: Path) -> list[str]:
    """Copy what a CLIP from a folder needs to embed new prompts elsewhere: everything small but the weights.

    Args:
        folder: Of the bundle.

    Returns:
        Names of the copied files, relative to the bundle; none for a CLIP that the program brings or fetches by name.
    """
    if not isinstance(config.clip, LocalClip):
        return []
    source, copied = config.clip.folder, []
    for file in sorted(source.rglob("*")):
        if file.suffix in (".json", ".txt") and file.is_file() and file.stat().st_size <= SMALL:
            target = folder / CLIP / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            copied.append(target.relative_to(folder).as_posix())
    return copied
