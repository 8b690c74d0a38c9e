"""HVit: its parts, its seeds, what is cached of it, and what each place of a picture adds to a score."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from components.core.engine.groups import owners, rates_by_part
from components.core.models.backbone_config import BackboneConfig
from components.core.models.dfca_config import DfcaConfig
from components.core.models.second_stream_config import HsvSaturation, NoSecondStream, VegetationIndices, WaveletBands
from components.core.models.tower import picture_encoder
from components.recipes.hvit.frozen import frozen_prefixes, scores_from
from components.recipes.hvit.head import ClassHead
from components.recipes.hvit.model import HVit, build_model, model_parts
from components.recipes.hvit.model_config import ModelConfig

SMALL = {"patch_size": 4, "dims": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "heads": [1, 1, 2, 2]}
PICTURES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def config(**changes: Any) -> ModelConfig:
    values: dict[str, Any] = {
        "backbone": BackboneConfig(name="hvit_tiny", arguments=SMALL),
        "image_size": 32,
        "dfca": DfcaConfig(heads=2),
        "second_stream": WaveletBands(patch=8),
    }
    return ModelConfig(**{**values, **changes})


def model(seed: int = 0, classes: int = 4, **changes: Any) -> HVit:
    return build_model(config(**changes), classes, seed).eval()


def below(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name: value for name, value in state.items() if name.startswith(prefix)}


def test_dfca_without_a_second_stream_is_refused() -> None:
    with pytest.raises(ValidationError, match="nothing to attend to"):
        config(second_stream=NoSecondStream())
    assert config(second_stream=NoSecondStream(), use_dfca=False).use_dfca is False


@pytest.mark.parametrize("stream", [WaveletBands(patch=8), VegetationIndices(patch=8), HsvSaturation(patch=8)])
def test_scores_come_from_the_picture_and_the_stream(stream: Any) -> None:
    built = model(second_stream=stream)
    scores = built(PICTURES)
    assert scores.shape == (3, 4)
    derived = built.derive(PICTURES)
    tokens = built.backbone.forward_map(PICTURES)
    torch.testing.assert_close(built.of_map(tokens, derived).logits, scores)
    assert not torch.allclose(built.of_map(tokens, derived.flip(0)).logits, scores, atol=1e-5), "the stream is not used"
    with pytest.raises(ValueError, match="nothing to attend to"):
        built.of_map(tokens, None)


def test_the_backbone_begins_alike_whatever_stands_behind_it() -> None:
    first = model(classes=4).state_dict()
    for other in (model(classes=7), model(use_dfca=False), model(second_stream=HsvSaturation(patch=16))):
        for name, value in below(other.state_dict(), "backbone.").items():
            assert torch.equal(value, first[name]), name
    head = below(first, "head.linear.weight")["head.linear.weight"]
    assert not torch.equal(head, model(seed=1).state_dict()["head.linear.weight"])


@pytest.mark.parametrize("use_dfca", [True, False])
def test_the_same_patterns_hold_with_and_without_dfca(use_dfca: bool) -> None:
    built = model(use_dfca=use_dfca)
    parts = model_parts(built)
    assert list(parts)[:3] == ["head", "dfca", "backbone.stage4.1"] and list(parts)[-1] == "backbone.early.0"
    owned = owners(built, parts)
    assert set(parts) - set(owned.values()) == (set() if use_dfca else {"dfca"})
    rates = rates_by_part(parts, {"head": 1e-3, "dfca": 1e-3, "backbone.stage4.*": 1e-4})
    assert rates["backbone.stage4.0"] == 1e-4 and "backbone.stage3.0" not in rates


@pytest.mark.parametrize("name", ["test_convnext", "test_vit", "test_resnet", "test_efficientnet"])
def test_another_backbone_is_one_key(name: str) -> None:
    built = model(backbone=BackboneConfig(name=name), image_size=64)
    assert built(torch.rand(2, 3, 64, 64)).shape == (2, 4)
    parts = model_parts(built)
    assert set(owners(built, parts).values()) == set(parts) and "backbone.stage4.0" in parts


@pytest.mark.parametrize("use_dfca", [True, False])
def test_the_frozen_prefix_and_the_rest_are_the_model(use_dfca: bool) -> None:
    built = model(use_dfca=use_dfca)
    names = [f"backbone.{layer.name}" for layer in built.backbone.layers]
    expected = built(PICTURES)
    for count in range(len(names) + 1):
        found = frozen_prefixes(built, config(use_dfca=use_dfca), frozenset(names[:count]))
        features = {prefix.name: prefix.compute({"image": PICTURES}) for prefix in found}
        torch.testing.assert_close(scores_from(built, features).logits, expected)
        if count == 0:
            assert [(prefix.name, prefix.kept) for prefix in found] == [("image", False)]
        else:
            assert found[0].parts == tuple(names[:count]) and all(prefix.kept for prefix in found)
            assert [prefix.name for prefix in found] == [f"backbone:{count}", "second_stream"][: 1 + use_dfca]


def test_a_layer_in_the_middle_that_trains_ends_the_prefix() -> None:
    built = model()
    names = {f"backbone.{layer.name}" for layer in built.backbone.layers}
    found = frozen_prefixes(built, config(), frozenset(names - {"backbone.stage2.0"}))
    assert found[0].parts == ("backbone.early.0", "backbone.early.1") and found[0].name == "backbone:2"


def test_the_encoder_is_the_backbone() -> None:
    built = model()
    encoder = picture_encoder(built.backbone)
    assert encoder.module is built.backbone and encoder.size == 32
    assert encoder.embed(PICTURES).shape == (3, encoder.width)
    torch.testing.assert_close(encoder.embed(PICTURES), built.backbone.forward_map(PICTURES).mean(dim=(2, 3)))


def test_relevance_adds_up_to_the_score() -> None:
    """The mean over places, plus what no picture changes, is the score."""
    torch.manual_seed(0)
    head = ClassHead(12, 5)
    nn.init.normal_(head.norm.weight), nn.init.normal_(head.norm.bias), nn.init.normal_(head.linear.bias)
    tokens = torch.randn(4, 12, 3, 6)
    chosen = torch.tensor([0, 4, 2, 2])
    constant = head.linear.weight @ head.norm.bias + head.linear.bias
    expected = head(tokens).gather(1, chosen[:, None])[:, 0]
    torch.testing.assert_close(head.relevance(tokens, chosen).mean(dim=(1, 2)) + constant[chosen], expected)


def test_relevance_is_where_the_evidence_is() -> None:
    head = ClassHead(8, 2)
    tokens = torch.zeros(1, 8, 4, 4)
    tokens[0, :, 1, 2] = head.linear.weight[1].detach() * 100
    found = head.relevance(tokens, torch.tensor([1]))[0]
    assert found.argmax() == 1 * 4 + 2 and found[1, 2] > 0


def test_a_dataset_without_labels_still_has_a_backbone() -> None:
    assert model(classes=0)(PICTURES).shape == (3, 1)
