"""The frozen work of a phase: as long a prefix of each tower as the frozen parts and the injection allow."""

from collections.abc import Mapping, Sequence

from components.core.config import canonical
from components.core.engine.task import Prefix
from components.core.errors import BadInput
from components.recipes.freqmedclip.model import FreqMedClip
from components.recipes.freqmedclip.model_config import ModelConfig
from components.recipes.freqmedclip.terms import terms_needing


def frozen_prefixes(
    model: FreqMedClip,
    config: ModelConfig,
    *,
    prompts: Sequence[str],
    captions: Sequence[str],
    frozen: frozenset[str],
    losses: Mapping[str, float],
) -> list[Prefix]:
    """Texts once per table, vision up to the first trainable block or the injection, SAM's image encoder.

    `prompt` and `caption` are [b, j]; `vision:K` are the tokens entering block K (leaving the tower, before its norm,
    if K is the depth), [b, n, d]; `sam:trunk` is SAM's encoder before its neck, `sam:embedding` the whole.

    Raises:
        BadInput: The text tower or SAM's image encoder is to train: both stay frozen in this recipe.
    """
    for part in ("text", "sam.trunk"):
        if part not in frozen:
            raise BadInput(f"{part} cannot train in this recipe", where="trainable", remedy=f"leave {part} out")
    found = [_texts(model, config, "prompt", prompts)]
    if terms_needing(losses, "captions"):
        found.append(_texts(model, config, "caption", captions))
    if "vision.embed" in frozen:
        found.append(_vision(model, config, frozen))
    if terms_needing(losses, "masks"):
        found.append(_sam(model, config, whole="sam.neck" in frozen))
    return found


def _texts(model: FreqMedClip, config: ModelConfig, name: str, texts: Sequence[str]) -> Prefix:
    return Prefix(
        name=name,
        parts=("text",),
        fields=frozenset({"ids"}),
        compute=lambda table: model.clip.text(table["ids"]),
        table={"ids": model.clip.tokenise(list(texts))},
        index=name,
        signature=canonical(config.clip.model_dump(mode="json")),
    )


def _vision(model: FreqMedClip, config: ModelConfig, frozen: frozenset[str]) -> Prefix:
    blocks = range(model.injection)
    end = next((block for block in blocks if f"vision.blocks.{block}" not in frozen), model.injection)
    return Prefix(
        name=f"vision:{end}",
        parts=("vision.embed", *(f"vision.blocks.{block}" for block in range(end))),
        fields=frozenset({"image"}),
        compute=lambda batch: model.clip.entering(batch["image"], end),
        signature=canonical([config.clip.model_dump(mode="json"), config.image_size]),
    )


def _sam(model: FreqMedClip, config: ModelConfig, *, whole: bool) -> Prefix:
    compute = model.sam.embed if whole else model.sam.trunk
    return Prefix(
        name="sam:embedding" if whole else "sam:trunk",
        parts=("sam.trunk", "sam.neck") if whole else ("sam.trunk",),
        fields=frozenset({"sam_image"}),
        compute=lambda batch: compute(batch["sam_image"]),
        signature=canonical(config.sam.model_dump(mode="json")),
    )
