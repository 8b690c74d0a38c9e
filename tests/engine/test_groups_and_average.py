"""Who trains, in which mode, and how the average follows."""

import pytest
import torch
from torch import nn

from components.core.engine.ema import WeightAverage
from components.core.engine.groups import freeze, optimizer_groups, owners, rates_by_part, set_train_mode
from components.core.errors import BadInput
from tests.engine.toy import ToyTask


@pytest.fixture
def model() -> nn.Module:
    return ToyTask().build_model(0)


PARTS = ToyTask().parts(nn.Module())


def test_every_tensor_has_one_owner(model: nn.Module) -> None:
    owned = owners(model, PARTS)
    assert owned["block.1.running_mean"] == "block"
    assert set(owned) == {n for n, _ in model.named_parameters()} | {n for n, _ in model.named_buffers()}


@pytest.mark.parametrize("parts", [{**PARTS, "head": []}, {**PARTS, "again": ["head"]}])
def test_a_tensor_without_one_part_is_a_fault_of_the_recipe(model: nn.Module, parts: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="must belong to one part"):
        owners(model, parts)


def test_a_pattern_that_matches_nothing_names_the_parts() -> None:
    with pytest.raises(BadInput, match="matches no part") as caught:
        rates_by_part(PARTS, {"head": 1e-3, "blocks.*": 1e-4})
    assert "head, block, stem, text" in caught.value.remedy


@pytest.mark.parametrize("order", [1, -1])
def test_the_closest_pattern_wins_whatever_the_order_and_the_order_is_head_to_stem(order: int) -> None:
    given = dict([("*", 1e-4), ("stem", 1e-5), ("ste[mn]", 1e-3)][::order])
    rates = rates_by_part(PARTS, given)
    assert list(rates.items()) == [("head", 1e-4), ("block", 1e-4), ("stem", 1e-5), ("text", 1e-4)]


def test_patterns_that_fit_equally_well_must_agree() -> None:
    assert rates_by_part(PARTS, {"he*": 1e-4, "*ad": 1e-4}) == {"head": 1e-4}
    with pytest.raises(BadInput, match="equally well"):
        rates_by_part(PARTS, {"he*": 1e-4, "*ad": 1e-5})


def test_frozen_layers_stay_in_eval_mode(model: nn.Module) -> None:
    freeze(model, owners(model, PARTS), {"head", "block"})
    model.train()
    set_train_mode(model)
    modes = {name: module.training for name, module in model.named_children()}
    assert modes == {"stem": False, "block": True, "text": False, "head": True}
    assert not model.stem[2].training, "a dropout beside frozen weights must not drop"


def test_vectors_get_no_weight_decay(model: nn.Module) -> None:
    owned = owners(model, PARTS)
    freeze(model, owned, {"block"})
    groups = optimizer_groups(model, owned, {"block": 1e-3}, 0.1)
    decays = {name: group["weight_decay"] for group in groups for name in group["names"]}
    assert decays == {"block.0.weight": 0.1, "block.0.bias": 0.0, "block.1.weight": 0.0, "block.1.bias": 0.0}


def test_the_average_follows_in_the_first_steps_and_lags_later() -> None:
    weight = nn.Parameter(torch.zeros(3))
    average = WeightAverage({"w": weight}, decay=0.999)
    with torch.no_grad():
        weight.fill_(1.0)
    average.update()
    assert torch.allclose(average.shadow["w"], torch.full((3,), 0.9)), "the first decay is 1/10"
    for _ in range(20_000):
        average.update()
    with torch.no_grad():
        weight.fill_(2.0)
    average.update()
    assert torch.allclose(average.shadow["w"], torch.full((3,), 1.001), atol=1e-4)


def test_applied_averages_are_taken_back_even_after_an_error() -> None:
    weight = nn.Parameter(torch.ones(2))
    average = WeightAverage({"w": weight}, decay=0.5)
    average.shadow["w"].fill_(7.0)
    with pytest.raises(RuntimeError), average.applied():
        assert weight.tolist() == [7.0, 7.0]
        raise RuntimeError
    assert weight.tolist() == [1.0, 1.0]


GROUPS = {"head": ["head"], "stage4": ["block", "stem"], "early": []}


def test_a_group_stands_between_a_parts_name_and_a_pattern() -> None:
    given = {"group:stage4": 1e-4, "stem": 1e-5, "*": 1e-6}
    assert rates_by_part(PARTS, given, GROUPS) == {"head": 1e-6, "block": 1e-4, "stem": 1e-5, "text": 1e-6}
    assert rates_by_part(PARTS, {"group:early": 1.0, "head": 1e-3}, GROUPS) == {"head": 1e-3}, "a group may be empty"


@pytest.mark.parametrize(
    ("groups", "remedy"), [(GROUPS, "the groups are head, stage4, early"), ({}, "this model has none: name its parts")]
)
def test_a_group_that_is_none_of_the_models_is_refused(groups: dict[str, list[str]], remedy: str) -> None:
    with pytest.raises(BadInput, match="no layer group 'stem'") as refused:
        rates_by_part(PARTS, {"group:stem": 1e-3}, groups)
    assert refused.value.remedy == remedy
