"""FreqMedClip as a whole: parts, injection, prompts for SAM, batch independence, determinism."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from components.core.engine.groups import owners
from components.core.errors import BadInput
from components.core.models.clip import ClipTower
from components.core.models.clip_build import biomedclip_on_meta
from components.core.models.clip_config import TinyClip
from components.core.models.sam import SamTower
from components.core.models.sam_build import sam_on_meta
from components.core.models.sam_config import TinySam
from components.core.models.wordpiece import WordPiece
from components.recipes.freqmedclip.maps import NOTHING
from components.recipes.freqmedclip.model import FreqMedClip, build_model, model_parts
from components.recipes.freqmedclip.model_config import Early, ModelConfig, Prompting


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def embedded(model: FreqMedClip, batch: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        return model.clip.text(model.clip.tokenise(["a dark oval lesion", "a bright mass"]))[batch["prompt"]]


def test_build_is_a_function_of_the_seed_alone(config: ModelConfig) -> None:
    before = torch.get_rng_state()
    first, again, other = build_model(config, 3), build_model(config, 3), build_model(config, 4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(first.state_dict(), again.state_dict(), atol=0, rtol=0)
    assert not torch.equal(first.clip.trunk.cls_token, other.clip.trunk.cls_token)


def test_every_tensor_has_one_part(any_config: ModelConfig) -> None:
    model = build_model(any_config, 0)
    parts = model_parts(model)
    assert set(owners(model, parts).values()) == set(parts)
    assert list(parts) == [
        "saliency_head",
        "fusion_gate",
        "freq_projection",
        "sam.decoder",
        "sam.neck",
        "sam.prompt",
        "vision.head",
        "vision.blocks.1",
        "vision.blocks.0",
        "vision.embed",
        "text",
        "sam.trunk",
    ]


def test_full_size_parts_and_parameters() -> None:
    config = ModelConfig(sam=TinySam(), clip=TinyClip())
    with torch.device("meta"):
        clip = ClipTower(biomedclip_on_meta(), WordPiece(8), 224)
        model = FreqMedClip(config, clip, SamTower(sam_on_meta("vit_b")))
    owned = owners(model, model_parts(model))
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        counts[owned[name]] = counts.get(owned[name], 0) + parameter.numel()
    assert 1.4e6 < counts["freq_projection"] < 1.7e6
    assert counts["vision.blocks.10"] + counts["vision.blocks.11"] == pytest.approx(14.2e6, rel=0.01)
    assert counts["sam.decoder"] == pytest.approx(4.06e6, rel=0.01)
    assert counts["saliency_head"] < 1e5


def test_saliency_shapes(any_config: ModelConfig, batch: dict[str, Tensor]) -> None:
    model = build_model(any_config, 0)
    found = model.saliency(batch["image"], embedded(model, batch))
    assert found.coarse.shape == (4, 1, 4, 4)
    assert found.refined.shape == (4, 1, 16, 16)
    torch.testing.assert_close(found.image.norm(dim=-1), torch.ones(4))


def test_tokens_of_any_block_give_the_same_saliency(any_config: ModelConfig, batch: dict[str, Tensor]) -> None:
    model = build_model(any_config, 0)
    text = embedded(model, batch)
    whole = model.saliency(batch["image"], text)
    for block in range(model.injection + 1):
        tokens = model.clip.entering(batch["image"], block)
        torch.testing.assert_close(model.saliency(batch["image"], text, tokens, block).refined, whole.refined)


def test_tokens_from_behind_the_injection_are_refused(config: ModelConfig, batch: dict[str, Tensor]) -> None:
    model = build_model(config.model_copy(update={"injection": Early(block=0)}), 0)
    tokens = model.clip.entering(batch["image"], 1)
    with pytest.raises(ValueError, match="passed the injection"):
        model.saliency(batch["image"], embedded(model, batch), tokens, 1)


def test_late_injection_leaves_the_class_token_alone(config: ModelConfig, batch: dict[str, Tensor]) -> None:
    for injection, same in ((config.injection, True), (Early(block=1), False)):
        model = build_model(config.model_copy(update={"injection": injection}), 0)
        image = model.saliency(batch["image"], embedded(model, batch)).image
        plain = model.clip.model.encode_image(batch["image"], normalize=True)
        assert torch.allclose(image, plain, atol=1e-6) is same


def test_an_injection_beyond_the_tower_is_refused(config: ModelConfig) -> None:
    with pytest.raises(BadInput, match="no vision block 2"):
        build_model(config.model_copy(update={"injection": Early(block=2)}), 0)


def test_the_prompt_matters(any_config: ModelConfig, batch: dict[str, Tensor]) -> None:
    model = build_model(any_config, 0)
    text = embedded(model, batch)
    right, swapped = (model.saliency(batch["image"], one) for one in (text, text.roll(1, dims=0)))
    assert (right.coarse - swapped.coarse).abs().mean() > 0.1
    assert not torch.allclose(right.refined, swapped.refined)


def test_no_sample_depends_on_its_batch(any_config: ModelConfig, batch: dict[str, Tensor]) -> None:
    model = build_model(any_config, 0).train()
    text = embedded(model, batch)
    together = model.saliency(batch["image"], text)
    masks = model.masks(model.sam.embed(batch["sam_image"]), together.refined, training=True)
    for i in range(4):
        alone = model.saliency(batch["image"][i : i + 1], text[i : i + 1])
        mask = model.masks(model.sam.embed(batch["sam_image"][i : i + 1]), alone.refined, training=True)
        torch.testing.assert_close(alone.refined, together.refined[i : i + 1], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(mask, masks[i : i + 1], atol=1e-4, rtol=1e-4)


def saliency_with_blobs() -> Tensor:
    logits = torch.full((2, 1, 16, 16), -4.0)
    logits[0, 0, 2:6, 3:9] = 4.0
    logits[0, 0, 10:13, 10:13] = 4.0
    return logits  # the second one is empty


def test_boxes_are_merged_by_maximum(config: ModelConfig, batch: dict[str, Tensor]) -> None:
    model = build_model(config.model_copy(update={"prompting": Prompting(components=2)}), 0)
    embedding, refined = model.sam.embed(batch["sam_image"][:2]), saliency_with_blobs()
    boxes, _, empty = model.prompts(refined)
    assert empty.tolist() == [False, True]
    torch.testing.assert_close(boxes[0], torch.tensor([[6.5, 4.5, 16.5, 10.5], [20.5, 20.5, 24.5, 24.5]]))
    masks = model.sam.decode(embedding, refined, boxes)
    expected = torch.maximum(masks[:, :1], masks[:, 1:])
    torch.testing.assert_close(model.masks(embedding, refined, training=True), expected)


@pytest.mark.parametrize("geometry", ["boxes", "points", "both"])
def test_an_empty_saliency(config: ModelConfig, batch: dict[str, Tensor], geometry: str) -> None:
    prompting = Prompting(geometry=geometry)
    model = build_model(config.model_copy(update={"prompting": prompting}), 0)
    embedding, refined = model.sam.embed(batch["sam_image"][:2]), saliency_with_blobs().requires_grad_(True)
    assert (model.masks(embedding, refined, training=False)[1] == NOTHING).all()
    trained = model.masks(embedding, refined, training=True)
    assert trained.isfinite().all()
    boxes, _, _ = model.prompts(refined)
    torch.testing.assert_close(boxes[1], torch.tensor([[0.5, 0.5, 30.5, 30.5]]))
    trained[1].sum().backward()
    assert refined.grad is not None
    assert refined.grad[1].abs().sum() > 0, "an empty saliency still learns, through the dense prompt"


def test_a_repeated_step_is_bit_identical(any_config: ModelConfig, batch: dict[str, Tensor]) -> None:
    gradients = []
    for _ in range(2):
        model = build_model(any_config, 0)
        found = model.saliency(batch["image"], embedded(model, batch))
        masks = model.masks(model.sam.embed(batch["sam_image"]), found.refined, training=True)
        (masks.square().mean() + found.refined.square().mean()).backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    assert len(gradients[0]) > 50
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))
