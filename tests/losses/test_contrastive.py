"""DHN-NCE and InfoNCE against naive loops, and the direction in which they push."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.core.losses.contrastive import dhn_nce_loss, info_nce_loss, silent_directions, valid_negatives

TAU, BETA = 0.6, 0.15


def embeddings(seed: int, batch: int, width: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(batch, width, generator=generator, dtype=torch.float64)
    return image, torch.randn(batch, width, generator=generator, dtype=torch.float64)


def cosine(one: Tensor, other: Tensor) -> Tensor:
    return (one @ other) / (one.norm() * other.norm())


def naive_direction(anchors: Tensor, others: Tensor, captions: list[int], i: int) -> tuple[Tensor, list[float]]:
    """One direction of one sample, term by term as the paper has it; the weights are plain numbers."""
    negatives = [j for j in range(len(captions)) if captions[j] != captions[i]]
    if not negatives:
        return 0 * anchors.sum(), []
    similar = {j: cosine(anchors[i], others[j]) for j in range(len(captions))}
    norm = sum(math.exp(BETA * similar[j].item() / TAU) for j in negatives)
    weights = [len(negatives) * math.exp(BETA * similar[j].item() / TAU) / norm for j in negatives]
    total = torch.stack([torch.exp(similar[j] / TAU) * w for j, w in zip(negatives, weights, strict=True)]).sum()
    return -similar[i] / TAU + torch.log(total), weights


def naive_dhn_nce(image: Tensor, text: Tensor, captions: list[int]) -> Tensor:
    rows = []
    for i in range(len(captions)):
        towards_text, _ = naive_direction(image, text, captions, i)
        towards_image, _ = naive_direction(text, image, captions, i)
        rows.append(towards_text + towards_image)
    return torch.stack(rows)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), captions=st.lists(st.integers(0, 3), min_size=1, max_size=7))
def test_dhn_nce_and_its_gradient_equal_the_naive_loop(seed: int, captions: list[int]) -> None:
    image, text = embeddings(seed, len(captions))
    inputs = [image.requires_grad_(), text.requires_grad_()]
    fast = dhn_nce_loss(image, text, torch.tensor(captions), TAU, BETA)
    slow = naive_dhn_nce(image, text, captions)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)
    for got, expected in zip(
        torch.autograd.grad(fast.sum(), inputs), torch.autograd.grad(slow.sum(), inputs), strict=True
    ):
        assert torch.isfinite(got).all()
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-10)


def test_weights_average_one_and_dhn_nce_has_its_lower_bound() -> None:
    captions = [0, 1, 2, 3]
    image, text = embeddings(0, 4)
    _, weights = naive_direction(image, text, captions, 0)
    assert sum(weights) == pytest.approx(3)
    best = torch.eye(4, dtype=torch.float64) - 1 / 4
    bound = 2 * (math.log(3) - 2 / TAU)
    assert dhn_nce_loss(best, best, torch.tensor(captions)).min().item() >= bound


def negative_gradients(loss_of: str) -> Tensor:
    """Gradient of sample 0's loss with respect to its cosines with a hard, a middling and an easy negative text."""
    angles = torch.tensor([0.5, 0.7, 1.6, 3.1], dtype=torch.float64)
    text = torch.stack([angles.cos(), angles.sin()], dim=1)
    similarity = text[:, 0].clone().requires_grad_()  # the anchor image is (1, 0)
    negatives = similarity[1:] / TAU
    if loss_of == "through the weights":
        log_weights = torch.log_softmax(BETA * negatives, dim=0) + math.log(3)
        torch.logsumexp(negatives + log_weights, dim=0).backward()
        assert similarity.grad is not None
        return similarity.grad[1:]
    others = torch.tensor([[1.0, 0.0], [5.0, 1.0], [5.0, 1.0], [5.0, 1.0]], dtype=torch.float64)
    texts = text.clone().requires_grad_()
    dhn_nce_loss(others, texts, torch.arange(4), TAU, BETA)[0].backward()
    assert texts.grad is not None
    tangent = torch.stack([-angles.sin(), angles.cos()], dim=1)
    along = (texts.grad * tangent).sum(dim=1)[1:]
    return along / -angles.sin()[1:]  # d cosine / d angle = -sin(angle)


def test_every_negative_is_pushed_away_and_the_hardest_most() -> None:
    """Only the text direction of sample 0 depends on the negatives' texts, so these are its cosines' gradients."""
    gradient = negative_gradients("ours")
    assert torch.all(gradient > 0)
    assert gradient.argmax() == 0


def test_gradients_through_the_weights_would_attract_easy_negatives() -> None:
    gradient = negative_gradients("through the weights")
    assert gradient[0] > 0
    assert gradient[2] < 0


def test_equal_captions_are_no_negatives_and_silence_is_counted() -> None:
    assert valid_negatives(torch.tensor([7, 7, 8])).tolist() == [
        [False, False, True],
        [False, False, True],
        [True, True, False],
    ]
    assert silent_directions(torch.tensor([7, 7, 8])) == 0
    assert silent_directions(torch.tensor([7, 7, 7])) == 6
    assert silent_directions(torch.tensor([7])) == 2


def test_one_caption_only_gives_zero_and_zero_gradients() -> None:
    image, text = embeddings(1, 3)
    image.requires_grad_()
    for loss in (dhn_nce_loss, info_nce_loss):
        values = loss(image, text, torch.zeros(3, dtype=torch.int64))
        (gradient,) = torch.autograd.grad(values.sum(), image)
        assert values.tolist() == pytest.approx([0, 0, 0], abs=1e-12)
        assert gradient.abs().max() < 1e-12


def test_info_nce_equals_cross_entropy_where_captions_differ() -> None:
    image, text = embeddings(2, 4)
    similarity = torch.stack([torch.stack([cosine(i, t) for t in text]) for i in image]) / 0.07
    target = torch.arange(4)
    expected = torch.nn.functional.cross_entropy(similarity, target, reduction="none")
    expected = (expected + torch.nn.functional.cross_entropy(similarity.T, target, reduction="none")) / 2
    torch.testing.assert_close(info_nce_loss(image, text, target), expected)


def test_embeddings_of_another_length_give_the_same_loss() -> None:
    image, text = embeddings(3, 4)
    caption = torch.tensor([0, 1, 1, 2])
    torch.testing.assert_close(dhn_nce_loss(3 * image, 0.1 * text, caption), dhn_nce_loss(image, text, caption))
