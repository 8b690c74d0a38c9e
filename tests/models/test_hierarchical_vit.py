"""HierarchicalViT as a timm model: sizes, attention, drop-path, checkpointing, other image sizes, the registry."""

from typing import Any

import pytest
import timm
import torch
from timm.layers.drop import DropPath
from timm.models import group_parameters
from torch import nn

from components.core.errors import BadInput
from components.core.models import hierarchical_vit_variants
from components.core.models.hierarchical_vit import POSITION, STD, HierarchicalViT

SMALL: dict[str, Any] = {
    "img_size": 64,
    "patch_size": 4,
    "dims": (16, 32, 32, 64),
    "depths": (1, 2, 2, 1),
    "heads": (1, 2, 2, 4),
}


def make(seed: int = 0, **arguments: Any) -> HierarchicalViT:
    torch.manual_seed(seed)
    model = timm.create_model("hvit_small", num_classes=5, **{**SMALL, **arguments})
    assert isinstance(model, HierarchicalViT)
    return model.eval()


def picture(size: int = 64, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("name", "millions"), [("hvit_tiny", 10.7), ("hvit_small", 27.6), ("hvit_base", 86.8)])
def test_the_sizes_are_registered(name: str, millions: float) -> None:
    assert name in timm.list_models("hvit_*")
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=8)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


def test_small_is_the_reference_size() -> None:
    with torch.device("meta"):
        model = timm.create_model("hvit_small", num_classes=8)
    assert [info["num_chs"] for info in model.feature_info] == [96, 192, 384, 768]
    assert [info["reduction"] for info in model.feature_info] == [16, 32, 64, 128]
    assert [len(level.blocks) for level in model.levels] == [2, 2, 6, 2]
    assert [level.blocks[0].block.attn.num_heads for level in model.levels] == [3, 6, 12, 24]
    assert model.patch_embed.grid_size == (16, 16)


def test_timms_doors() -> None:
    model = make()
    features = model.forward_features(picture())
    assert features.shape == (2, 2, 2, 64)
    assert model.output_fmt == "NHWC" and "NHWC" in model.default_cfg["notes"][0]
    pooled = model.forward_head(features, pre_logits=True)
    norm = nn.functional.layer_norm(features.mean((1, 2)), (64,), model.head.norm.weight, model.head.norm.bias, 1e-6)
    torch.testing.assert_close(pooled, norm)
    torch.testing.assert_close(model(picture()), model.get_classifier()(pooled))
    model.reset_classifier(3)
    assert model(picture()).shape == (2, 3) and model.num_classes == 3
    model.reset_classifier(0)
    torch.testing.assert_close(model(picture()), pooled)


def test_every_level_attends_globally() -> None:
    model = make()
    x = picture(count=1).requires_grad_()
    tokens = model.levels[0](model.position(model.patch_embed(x)))
    tokens[0, 0, 0].pow(2).sum().backward()
    assert x.grad is not None
    assert x.grad[0, :, -4:, -4:].abs().max() > 0, "the far corner reaches the first token within one level"


def test_drop_path_rises_linearly_over_the_blocks() -> None:
    model = make(drop_path_rate=0.5)
    blocks = [block for level in model.levels for block in level.blocks]
    rates = [next((m.drop_prob for m in block.modules() if isinstance(m, DropPath)), 0.0) for block in blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_checkpointing_changes_no_gradient() -> None:
    gradients = []
    for enabled in (False, True):
        model = make(drop_path_rate=0.3).train()
        model.set_grad_checkpointing(enabled)
        torch.manual_seed(7)
        model(picture()).pow(2).sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])


def test_weights_start_from_a_truncated_normal() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model("hvit_tiny", num_classes=8, img_size=128)
    matrices = [p for n, p in model.named_parameters() if p.ndim > 1 and n != POSITION]
    assert all(p.std().item() == pytest.approx(STD, rel=0.1) for p in matrices)
    assert all(p.abs().max() <= 2.0 for p in matrices)
    assert all(not p.any() for n, p in model.named_parameters() if n.endswith("bias"))


def test_every_parameter_has_a_depth() -> None:
    model = make()
    groups = group_parameters(model, model.group_matcher(), reverse=True)
    depth = {name: groups[name] for name, _ in model.named_parameters()}
    assert depth["patch_embed.proj.weight"] == depth[POSITION] == 0
    assert depth["levels.3.blocks.0.block.mlp.fc1.weight"] < depth["head.fc.weight"]
    assert depth["levels.1.blocks.0.block.mlp.fc1.weight"] < depth["levels.1.blocks.1.block.mlp.fc1.weight"]
    assert model.no_weight_decay() <= set(depth)


def test_features_only() -> None:
    torch.manual_seed(0)
    model = timm.create_model("hvit_small", features_only=True, out_indices=(1, 3), **SMALL).eval()
    maps = model(picture())
    assert [tuple(m.shape) for m in maps] == [(2, 32, 8, 8), (2, 64, 2, 2)]
    assert model.feature_info.reduction() == [8, 32]
    full = make()
    full.load_state_dict({k.removeprefix("model."): v for k, v in model.state_dict().items()}, strict=False)
    torch.testing.assert_close(maps[1], full.forward_features(picture()).permute(0, 3, 1, 2))


def test_weights_go_over_to_another_image_size() -> None:
    source = make()
    overlay = {"state_dict": source.state_dict(), "num_classes": 5}
    arguments = {**SMALL, "img_size": 128}
    larger = timm.create_model(
        "hvit_small", pretrained=True, pretrained_cfg_overlay=overlay, num_classes=5, **arguments
    ).eval()
    assert larger(picture(128)).shape == (2, 5)
    source.set_input_size(128)
    torch.testing.assert_close(larger(picture(128)), source(picture(128)))


@pytest.mark.parametrize("arguments", [{"img_size": 60}, {"img_size": 16}, {"heads": (3, 2, 2, 4)}, {"depths": (1, 2)}])
def test_refuses_sizes_that_do_not_divide(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"merged|go together"):
        make(**arguments)


def test_other_numbers_of_levels() -> None:
    model = make(dims=(16, 32), depths=(1, 1), heads=(1, 2), img_size=24)
    assert model.forward_features(picture(24)).shape == (2, 3, 3, 32)


def test_the_variants_are_what_the_module_registers() -> None:
    names = ("micro", "nano", "tiny", "small", "base")
    assert set(hierarchical_vit_variants.default_cfgs) == {f"hvit_{name}" for name in names}
