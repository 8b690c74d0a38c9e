"""CtNet: attention that looks at maps, slices to volumes, fusion of stages, and frozen work that changes nothing."""

from typing import Any

import pytest
import torch
from timm.layers.cbam import CbamModule
from torch import nn

from components.core.engine.groups import owners
from components.core.errors import BadInput
from components.core.models.tower import backbone_groups
from components.recipes.ct_abnormality.aggregation import EachSlice, Gated, Greatest, Mean
from components.recipes.ct_abnormality.aggregation_config import GatedAttention
from components.recipes.ct_abnormality.attention import RegionAttention
from components.recipes.ct_abnormality.attention_config import Cbam, MedicalAttention
from components.recipes.ct_abnormality.frozen import frozen_prefixes, scores_from
from components.recipes.ct_abnormality.fusion import PyramidFusion
from components.recipes.ct_abnormality.model import CtNet, build_model, megabytes, model_parts
from components.recipes.ct_abnormality.model_config import ModelConfig

NARROW = {"name": "resnet10t", "arguments": {"channels": [8, 16, 24, 32], "stem_width": 8}}
VIT = {"name": "vit_tiny_patch16_224", "arguments": {"patch_size": 8, "embed_dim": 32, "depth": 4, "num_heads": 2}}
WINDOWED = {
    "name": "swin_tiny_patch4_window7_224",
    "arguments": {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 2},
}
ATTENTIONS = ("none", "se", "cbam", "medical")
LEVELS = ("stage2", "stage3")


def config(**changes: Any) -> ModelConfig:
    return ModelConfig.model_validate({"backbone": NARROW, "image_size": 64, "slices": 4, **changes})


def built(values: ModelConfig, seed: int = 0) -> CtNet:
    model = build_model(values, 3, seed).eval()
    with torch.no_grad():  # what begins as the identity must not hide a mistake
        random = torch.Generator().manual_seed(7)
        for module in (model.attention, model.fusion):
            for parameter in module.parameters() if module is not None else ():
                parameter.copy_(torch.randn(parameter.shape, generator=random) * 0.1)
    return model


def volumes(count: int = 2, slices: int = 4, size: int = 64) -> torch.Tensor:
    return torch.rand(count, slices, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ATTENTIONS[1:])
def test_attention_sees_a_map_and_not_its_mean(kind: str) -> None:
    """After global pooling a map would be 1x1, and attention over places would say nothing."""
    model, seen = built(config(attention={"kind": kind})), []
    model.attention.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
    model(volumes())
    assert seen == [(8, 32, 2, 2)]
    larger = built(config(attention={"kind": kind}, image_size=96))
    larger.attention.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
    larger(volumes(size=96))
    assert seen[1][2:] == (3, 3)


def test_cbam_weighs_channels_by_mean_and_maximum_and_places_by_a_window_of_seven() -> None:
    made = Cbam(reduction=0.25).build(16)
    assert isinstance(made, CbamModule)
    kernels = [module.kernel_size for module in made.spatial.modules() if isinstance(module, nn.Conv2d)]
    assert kernels == [(7, 7)]
    x = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    mlp = lambda pooled: made.channel.fc2(torch.relu(made.channel.fc1(pooled)))  # noqa: E731
    gates = (mlp(x.mean((2, 3), keepdim=True)) + mlp(x.amax((2, 3), keepdim=True))).sigmoid()
    torch.testing.assert_close(made.channel(x), x * gates)


def test_region_attention_begins_as_the_identity_and_stays_small() -> None:
    made = MedicalAttention().build(2048)
    assert isinstance(made, RegionAttention)
    x = torch.randn(1, 2048, 7, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(made(x), x)
    assert sum(parameter.numel() for parameter in made.parameters()) < 1e6
    kernels = sorted(convolution.kernel_size[0] for convolution in made.neighbourhoods)
    assert kernels == [1, 3, 5, 7]
    assert all(convolution.groups == convolution.in_channels for convolution in made.neighbourhoods)
    with pytest.raises(ValueError, match="odd"):
        RegionAttention(8, 8, (2,), 2)


def test_regions_divide_the_map_and_know_places() -> None:
    made = RegionAttention(8, 8, (1, 3), regions=4)
    with torch.no_grad():
        made.belong.weight.normal_(generator=torch.Generator().manual_seed(0))
    maps = made.regions(torch.zeros(2, 8, 6, 5))
    torch.testing.assert_close(maps.sum(dim=1), torch.ones(2, 6, 5))
    assert float(maps.detach().std(dim=(2, 3)).min()) > 0, "of equal content, places still differ"


def test_gated_attention_is_that_of_the_paper() -> None:
    """Equation 9 of Ilse et al. 2018, slice by slice; and the pooled vector's score is the pooled score."""
    head = Gated(6, 2, hidden=5, dropout=0.0)
    vectors = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0))
    scores = head(vectors)
    normal = head.norm(vectors)
    for volume in range(3):
        for label in range(2):
            raw = []
            for slice in range(4):
                h = normal[volume, slice]
                gated = torch.tanh(head.content(h)) * torch.sigmoid(head.gate(h))
                raw.append(torch.exp((head.weigh.weight[label] * gated).sum()))
            weights = torch.stack(raw) / sum(raw)
            torch.testing.assert_close(scores.weights[volume, :, label], weights)
            pooled = (weights[:, None] * normal[volume]).sum(dim=0)
            torch.testing.assert_close(scores.logits[volume, label], head.linear(pooled)[label])


def test_every_aggregation_answers_for_volumes_of_any_length() -> None:
    for head in (Gated(6, 2, 4, 0.0), Mean(6, 2, 0.0), Greatest(6, 2, 0.0), EachSlice(6, 2, 0.0, greatest=False)):
        for count in (1, 5):
            scores = head(torch.randn(3, count, 6))
            assert scores.logits.shape == (3, 2) and scores.slices.shape == scores.weights.shape == (3, count, 2)
            torch.testing.assert_close(scores.weights.sum(dim=1), torch.ones(3, 2))
            assert scores.taught.shape == (3, count if isinstance(head, EachSlice) else 1, 2)


def test_mean_and_maximum_are_of_logits_and_slices_answer_by_probability() -> None:
    vectors = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0)) * 3
    mean, greatest = Mean(6, 2, 0.0), Greatest(6, 2, 0.0)
    torch.testing.assert_close(mean(vectors).logits, mean(vectors).slices.mean(dim=1))
    torch.testing.assert_close(greatest(vectors).logits, greatest(vectors).slices.amax(dim=1))
    alone = EachSlice(6, 2, 0.0, greatest=False)
    found = alone(vectors)
    torch.testing.assert_close(found.logits.sigmoid(), found.slices.sigmoid().mean(dim=1))
    most = EachSlice(6, 2, 0.0, greatest=True)(vectors)
    torch.testing.assert_close(most.logits, most.slices.amax(dim=1))


def test_fusion_begins_as_the_last_map_and_adds_earlier_ones() -> None:
    fusion = PyramidFusion([4, 6], 8)
    last, early = torch.rand(2, 8, 2, 2), [torch.rand(2, 4, 8, 8), torch.rand(2, 6, 4, 4)]
    gathered = PyramidFusion.gather(early, 2)
    assert gathered.shape == (2, 10, 2, 2)
    torch.testing.assert_close(fusion(last, gathered), last)
    nn.init.ones_(fusion.projections[0].weight)
    expected = last + early[0].reshape(2, 4, 2, 4, 2, 4).mean(dim=(3, 5)).sum(dim=1, keepdim=True)
    torch.testing.assert_close(fusion(last, gathered), expected)


@pytest.mark.parametrize("backbone", [NARROW, VIT, WINDOWED], ids=["resnet", "vit", "swin"])
def test_wherever_the_frozen_work_ends_the_answer_is_the_same(backbone: dict[str, Any]) -> None:
    values = config(backbone=backbone, multiscale=LEVELS, attention={"kind": "medical"}, pool="both")
    model, image = built(values), volumes()
    parts = list(model_parts(model))
    expected = model(image)
    ended = []
    for count in range(len(parts) + 1):
        prefixes = frozen_prefixes(model, values, frozenset(parts[len(parts) - count :]))
        features = {prefix.name: prefix.compute({"image": image}) for prefix in prefixes}
        assert all(value.shape[:2] == (2, 4) for value in features.values())
        torch.testing.assert_close(scores_from(model, features).logits, expected, rtol=1e-4, atol=1e-5)
        ended.append(next(iter(features)))
    assert ended[0] == "image" and ended[-1] == "vectors" and len(set(ended)) == len(parts)
    wholly = frozen_prefixes(model, values, frozenset(parts) - {"head"})
    assert [prefix.name for prefix in wholly] == ["vectors"]
    learning = frozen_prefixes(model, values, frozenset(parts) - {"head", "attention"})
    assert [prefix.name for prefix in learning] == [f"backbone:{len(model.backbone.layers)}", "gathered"]


def test_without_attention_a_frozen_backbone_keeps_vectors_alone() -> None:
    model = built(config())
    (prefix,) = frozen_prefixes(model, config(), frozenset(model_parts(model)) - {"head", "attention"})
    assert prefix.name == "vectors" and prefix.compute({"image": volumes()}).shape == (2, 4, 32)


def test_what_would_fill_the_disk_is_not_kept() -> None:
    model = built(config(attention={"kind": "se"}))
    frozen = frozenset(model_parts(model)) - {"head", "attention"}
    assert megabytes((32, 2, 2), 4) == pytest.approx(4 * 4 * 32 * 4 / 1e6)
    for limit, kept in ((0.003, True), (0.002, False)):
        (prefix,) = frozen_prefixes(model, config(attention={"kind": "se"}, keep_mb=limit), frozen)
        assert prefix.kept is kept and (prefix.name == "image") is not kept


@pytest.mark.parametrize("kind", ATTENTIONS)
def test_every_tensor_has_one_part_from_head_to_stem(kind: str) -> None:
    model = built(config(attention={"kind": kind}, multiscale=LEVELS))
    parts = model_parts(model)
    owned = owners(model, parts)
    assert list(parts)[:2] == ["head", "attention"] and list(parts)[-1] == "backbone.early.0"
    assert owned["fusion.projections.0.weight"] == "attention" and owned["head.linear.weight"] == "head"
    plain = model_parts(built(config()))
    assert plain["attention"] == [], "the group exists where nothing is in it, so that the same phases serve"


def test_the_backbone_begins_the_same_whatever_stands_behind_it() -> None:
    first, second = build_model(config(), 3, 5), build_model(config(attention={"kind": "cbam"}, pool="max"), 18, 5)
    for (name, one), (_, other) in zip(
        first.backbone.state_dict().items(), second.backbone.state_dict().items(), strict=True
    ):
        assert torch.equal(one, other), name


def test_slices_may_be_seen_at_other_sizes_where_the_backbone_can() -> None:
    model = build_model(config(multiscale=LEVELS, attention={"kind": "medical"}), 3, 0, sizes=[32, 48]).eval()
    for size in (32, 48, 64):
        assert torch.isfinite(model(volumes(size=size))).all()
    with pytest.raises(BadInput, match="cannot take slices of 48 px"):
        build_model(config(backbone=VIT), 3, 0, sizes=[48])


def test_levels_are_those_of_the_backbone() -> None:
    lone = {"name": "vit_tiny_patch16_224", "arguments": {**VIT["arguments"], "depth": 1}}
    with pytest.raises(BadInput, match="no layers of the group stage2"):
        build_model(config(backbone=lone, multiscale=("stage2",)), 3, 0)
    with pytest.raises(ValueError, match="named twice"):
        config(multiscale=("stage2", "stage2"))


def test_dropout_is_for_training_alone() -> None:
    head = GatedAttention(dropout=0.5).build(8, 2)
    vectors = torch.randn(2, 3, 8)
    head.train()
    assert not torch.equal(head(vectors).logits, head(vectors).logits)
    head.eval()
    assert torch.equal(head(vectors).logits, head(vectors).logits)


def test_groups_are_the_parts_from_head_to_stem() -> None:
    model = built(config(attention={"kind": "se"}))
    groups = backbone_groups(model.backbone)
    assert list(groups) == ["stage4", "stage3", "stage2", "early"]
    assert [part for parts in groups.values() for part in parts] == list(model_parts(model))[2:]
