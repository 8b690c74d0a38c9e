"""The batched SAM adapter against segment_anything's own one-image-at-a-time path."""

from collections.abc import Iterator

import pytest
import torch
from segment_anything import SamPredictor

from components.core.errors import BadInput
from components.core.models.sam import SamTower, normalise
from components.core.models.sam_config import TinySam


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def tower() -> SamTower:
    torch.manual_seed(0)
    return TinySam(image_size=32, width=32, depth=2, prompt_width=32).build()


def prompts(tower: SamTower) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(3, 3, 32, 32, generator=generator)
    logits = torch.randn(3, 1, tower.mask_size, tower.mask_size, generator=generator)
    corner = torch.rand(3, 2, 2, generator=generator) * 16
    boxes = torch.cat([corner, corner + 8], dim=-1)
    return image, logits, boxes, corner + 4


def one_by_one(tower: SamTower, embedding: torch.Tensor, logits: torch.Tensor, sparse: list[dict]) -> torch.Tensor:  # type: ignore[type-arg]
    masks = []
    for index, given in enumerate(sparse):
        tokens, dense = tower.model.prompt_encoder(masks=logits[index : index + 1].expand(2, -1, -1, -1), **given)
        low, _ = tower.model.mask_decoder(
            image_embeddings=embedding[index : index + 1],
            image_pe=tower.model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=tokens,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        masks.append(low[:, 0])
    return torch.stack(masks)


@pytest.mark.parametrize("geometry", ["boxes", "points", "both"])
def test_batched_decode_equals_the_loop(tower: SamTower, geometry: str) -> None:
    image, logits, boxes, points = prompts(tower)
    embedding = tower.embed(normalise(image))
    boxed, pointed = geometry != "points", geometry != "boxes"
    sparse = [
        {
            "boxes": boxes[index] if boxed else None,
            "points": (points[index][:, None], torch.ones(2, 1)) if pointed else None,
        }
        for index in range(3)
    ]
    ours = tower.decode(embedding, logits, boxes if boxed else None, points if pointed else None)
    torch.testing.assert_close(ours, one_by_one(tower, embedding, logits, sparse), atol=1e-5, rtol=1e-5)


def test_image_encoder_and_normalisation_equal_the_predictor(tower: SamTower) -> None:
    picture = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8)
    predictor = SamPredictor(tower.model)
    predictor.set_image(picture.numpy())
    image = normalise(picture.permute(2, 0, 1)[None].float() / 255)
    torch.testing.assert_close(tower.embed(image), predictor.features, atol=1e-5, rtol=1e-4)


def test_gradient_reaches_the_dense_prompt_but_not_the_boxes(tower: SamTower) -> None:
    image, logits, boxes, _ = prompts(tower)
    logits.requires_grad_(True)
    boxes.requires_grad_(True)
    tower.decode(tower.embed(normalise(image)), logits, boxes).square().sum().backward()
    assert logits.grad is not None
    assert (logits.grad.flatten(1).abs().sum(dim=1) > 0).all()
    assert boxes.grad is None


def test_mask_prompt_may_have_any_size(tower: SamTower) -> None:
    image, _, boxes, _ = prompts(tower)
    masks = tower.decode(tower.embed(normalise(image)), torch.zeros(3, 1, 24, 24), boxes)
    assert masks.shape == (3, 2, tower.mask_size, tower.mask_size)


def test_repeating_a_box_changes_nothing_after_the_merge(tower: SamTower) -> None:
    image, logits, boxes, _ = prompts(tower)
    embedding = tower.embed(normalise(image))
    once = tower.decode(embedding, logits, boxes[:, :1]).amax(dim=1)
    twice = tower.decode(embedding, logits, boxes[:, :1].expand(-1, 3, -1)).amax(dim=1)
    torch.testing.assert_close(once, twice, atol=1e-6, rtol=1e-6)


def test_needs_a_sparse_prompt(tower: SamTower) -> None:
    image, logits, _, _ = prompts(tower)
    with pytest.raises(BadInput, match="boxes or points"):
        tower.decode(tower.embed(normalise(image)), logits)
