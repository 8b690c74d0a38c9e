"""Any timm model as a chain of layers: the chain is the model, its groups, its gradients, its weights."""

import copy
import logging
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from components.core.engine.groups import owners
from components.core.errors import BadInput
from components.core.models.backbone import Backbone
from components.core.models.backbone_config import BackboneConfig
from components.core.models.backbone_layers import find_layers, group_of_each
from components.core.models.backbone_trace import record

HVIT = {"patch_size": 4, "dims": (16, 32, 32, 64), "depths": (1, 1, 2, 1), "heads": (1, 2, 2, 4)}
SWIN = {"embed_dim": 16, "depths": (2, 1, 1, 1), "num_heads": (1, 2, 2, 4), "window_size": 4}
VIT = {"depth": 4, "embed_dim": 32, "num_heads": 2, "patch_size": 8}
HIERA = {"embed_dim": 16, "num_heads": 1, "stages": (1, 1, 2, 1)}
DENSE = {"growth_rate": 4, "block_config": (1, 2, 2, 1)}

MODELS: dict[str, tuple[dict[str, Any], int]] = {
    "hvit_small": (HVIT, 9),
    "test_vit": ({}, 7),
    "test_vit3": ({}, 10),
    "vit_tiny_patch16_224": (VIT, 5),
    "deit_tiny_distilled_patch16_224": (VIT, 5),
    "test_vit_relpos": ({}, 10),
    "swin_tiny_patch4_window7_224": (SWIN, 9),
    "hiera_tiny_224": (HIERA, 6),
    "test_convnext": ({}, 13),
    "test_resnet": ({}, 5),
    "resnet10t": ({}, 5),
    "regnetx_002": ({}, 14),
    "test_efficientnet": ({}, 6),
    "mobilenetv3_small_050": ({}, 13),
    "densenet121": (DENSE, 8),
    "test_maxvit": ({}, 5),
    "test_byobnet": ({}, 5),
}
"""Arguments that make them small, and the number of their layers at 64 px."""

SIZE = 64


def build(name: str, seed: int = 0, **values: Any) -> Backbone:
    arguments = MODELS[name][0] if name in MODELS else {}
    return BackboneConfig(name=name, arguments=values.pop("arguments", arguments), **values).build(SIZE, seed)


def pictures(count: int = 2) -> Tensor:
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))


def loss(found: Tensor) -> Tensor:
    """Weighs every value differently: the sum of squares behind a layer norm would not depend on the weights."""
    return (found * torch.rand(found.shape, generator=torch.Generator().manual_seed(3))).sum()


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.fixture(params=list(MODELS), scope="module")
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return build(request.param).eval()


def test_the_layers_are_the_model(backbone: Backbone) -> None:
    with torch.no_grad():
        raw = backbone.trunk.forward_features((pictures() - backbone.mean) / backbone.std)
        expected = backbone.forward_map(pictures())
        for k in range(len(backbone.layers) + 1):
            hidden = backbone.entering(pictures(), k)
            assert len(hidden) == 2
            assert torch.equal(backbone.leaving(hidden, k), expected), k
        assert torch.equal(hidden, raw)
    assert expected.shape == (2, backbone.width, backbone.side, backbone.side)


def test_the_map_is_timms_own(backbone: Backbone) -> None:
    trunk: Any = backbone.trunk
    if not hasattr(trunk, "forward_intermediates"):
        pytest.skip("timm tells no map of this model")
    takes_norm = not type(trunk).__name__.startswith("Hiera")
    with torch.no_grad():
        x = backbone.normalise(pictures())
        maps = trunk.forward_intermediates(x, indices=1, norm=takes_norm, intermediates_only=True)
        found = backbone.forward_map(pictures())
    if maps[-1].shape == found.shape:
        torch.testing.assert_close(found, maps[-1])
    else:  # timm's last stage ends before the last convolution
        assert maps[-1].shape[-2:] == found.shape[-2:]


def test_every_tensor_has_one_layer(backbone: Backbone) -> None:
    owned = owners(backbone, {layer.name: list(layer.prefixes) for layer in backbone.layers})
    assert set(owned.values()) == {layer.name for layer in backbone.layers}
    assert backbone.understood


def test_the_groups_go_from_early_to_stage4(backbone: Backbone) -> None:
    names = [layer.name.split(".")[0] for layer in backbone.layers]
    assert names == sorted(names) and set(names) == {"early", "stage2", "stage3", "stage4"}
    numbers = [int(layer.name.split(".")[1]) for layer in backbone.layers]
    assert all(number == names[:index].count(names[index]) for index, number in enumerate(numbers))


def test_no_tensor_is_without_use(backbone: Backbone) -> None:
    model = copy.deepcopy(backbone)
    loss(model.forward_map(pictures())).backward()
    assert set(gradients(model)) == {name for name, _ in model.named_parameters()}, (
        "what only a classifier used is gone"
    )


def test_gradients_pass_the_cut(backbone: Backbone) -> None:
    k = len(backbone.layers) // 2
    whole, cut, frozen = (copy.deepcopy(backbone) for _ in range(3))
    loss(whole.forward_map(pictures())).backward()
    loss(cut.leaving(cut.entering(pictures(), k), k)).backward()
    with torch.no_grad():
        hidden = frozen.entering(pictures(), k)
    loss(frozen.leaving(hidden, k)).backward()
    expected, owned = gradients(whole), owners(whole, {layer.name: list(layer.prefixes) for layer in whole.layers})
    behind = {layer.name for layer in whole.layers[k:]}
    assert all(torch.equal(value, expected[name]) for name, value in gradients(cut).items())
    assert set(gradients(frozen)) == {name for name in expected if owned[name] in behind}
    for name, value in gradients(frozen).items():  # where no gradient is wanted before, other kernels may be chosen
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5 * float(expected[name].abs().max()))


def test_the_layers_are_the_model_while_it_trains(backbone: Backbone) -> None:
    found = []
    for composed in (False, True):
        model = copy.deepcopy(backbone).train()
        torch.manual_seed(4)
        x = pictures(4)
        found.append((model.leaving(model.entering(x, 1), 1) if composed else model.forward_map(x), model))
    (plain, first), (composed_map, second) = found
    assert torch.equal(plain, composed_map)
    buffers = dict(second.named_buffers())
    assert all(torch.equal(value, buffers[name]) for name, value in first.named_buffers())


def test_blocks_are_told_apart() -> None:
    assert {name: len(build(name).layers) for name in MODELS} == {name: count for name, (_, count) in MODELS.items()}


@pytest.mark.parametrize("name", ["hvit_small", "test_vit", "test_convnext", "resnet10t", "test_efficientnet"])
def test_checkpointing_changes_nothing_but_memory(name: str) -> None:
    results = []
    for enabled in (False, True):
        model = build(name, grad_checkpointing=enabled, drop_path=0.3).train()
        for step in range(2):
            torch.manual_seed(step)
            loss(model.forward_map(pictures(4))).backward()
        results.append((gradients(model), dict(model.named_buffers())))
    (plain, norms), (again, counted) = results
    assert plain.keys() == again.keys()
    assert all(torch.allclose(plain[n], again[n], rtol=1e-5, atol=1e-6) for n in plain)
    assert all(torch.equal(norms[n], counted[n]) for n in norms), "a batch is counted once"


def test_checkpointing_keeps_less() -> None:
    def kept(enabled: bool) -> int:
        sizes: list[int] = []

        def pack(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        model = build("test_vit", grad_checkpointing=enabled).train()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model.forward_map(pictures(4))
        return sum(sizes)

    assert kept(True) < kept(False) / 3


def test_a_copy_runs_its_own_weights() -> None:
    model = build("test_resnet").eval()
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(other.leaving(other.entering(pictures(), 2), 2), other.forward_map(pictures()))
    assert not torch.equal(other.forward_map(pictures()), model.forward_map(pictures()))


def test_weights_are_a_function_of_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = build("test_vit", 1), build("test_vit", 1), build("test_vit", 2)
    assert torch.equal(torch.random.get_rng_state(), before)
    states = [model.state_dict() for model in (first, again, other)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert not torch.equal(states[0]["trunk.patch_embed.proj.weight"], states[2]["trunk.patch_embed.proj.weight"])


def test_embed_is_the_mean_of_the_map() -> None:
    model = build("test_convnext").eval()
    torch.testing.assert_close(model.embed(pictures()), model.forward_map(pictures()).mean((2, 3)))
    torch.testing.assert_close(model(pictures()), model.forward_map(pictures()))


def test_drop_path_reaches_the_model() -> None:
    model = build("test_vit", drop_path=0.25)
    assert 0.25 in {getattr(module, "drop_prob", None) for module in model.modules()}


def test_a_structure_that_is_not_understood_is_one_layer(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        model = build("cait_xxs24_224", arguments={"depth": 2, "embed_dim": 32, "num_heads": 2}).eval()
    assert "not understood" in caplog.text and not model.understood
    owners(model, {layer.name: list(layer.prefixes) for layer in model.layers})
    expected = model.forward_map(pictures())
    assert torch.equal(model.leaving(model.entering(pictures(), 1), 1), expected)


def test_what_gives_no_map_is_refused() -> None:
    small = {"embed_dims": (16, 16, 16, 16), "serial_depths": (1, 1, 1, 1), "parallel_depth": 1}
    with pytest.raises(BadInput, match="no map"):
        build("coat_tiny", arguments=small)


class Residual(nn.Module):
    """Blocks whose shortcut is added to the first one's output: in place, or not."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))
        self.third = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())
        self.in_place = in_place

    def forward_features(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x))
        if self.in_place:
            y += x
        else:
            y = y + x
        out: Tensor = self.third(y)
        return out


@pytest.mark.parametrize("in_place", [True, False])
def test_a_shortcut_past_modules_is_seen(in_place: bool) -> None:
    model = Residual(in_place).eval()
    run = record(model, model.forward_features, pictures())
    assert [link.name for link in run.chain()] == ["third"]
    assert not run.is_chain(run.chain())
    layers = find_layers(model, run, 0)
    hidden = pictures()
    for layer in layers:
        hidden = layer(hidden)
    assert torch.equal(hidden, model.forward_features(pictures()))


def test_groups_by_resolution_and_by_count() -> None:
    assert group_of_each([32, 16, 16, 8, 4, 4, 2]) == [
        "early",
        "early",
        "early",
        "stage2",
        "stage3",
        "stage3",
        "stage4",
    ]
    assert group_of_each([None, 16, 8, None, 4, 2])[-3:] == ["stage2", "stage3", "stage4"]
    twelve = group_of_each([14] * 13)
    assert twelve == ["early"] * 4 + ["stage2"] * 3 + ["stage3"] * 3 + ["stage4"] * 3
    assert group_of_each([8, 8]) == ["early", "stage4"]
