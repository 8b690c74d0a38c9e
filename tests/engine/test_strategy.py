"""Strategies as values: the tables of their schedules, how they divide a run into stages, and what they refuse."""

import pytest
from pydantic import TypeAdapter, ValidationError

from components.core.engine.phase import Handoff, Phase
from components.core.engine.strategy import REFERENCE, Progressive, StageName, Strategy
from components.core.models.layer_groups import LAYER_GROUPS

STRATEGIES: TypeAdapter[Progressive] = TypeAdapter(Strategy)
STAGES: tuple[StageName, ...] = ("warmup", "partial_unfreeze", "end_to_end")
BASE = Phase(epochs=0, losses={"bce": 1.0}, batch_size=4, views=2, patience=15)

TABLE = {
    "none": {0: "head stage4 stage3 stage2 early"},
    "freeze_backbone": {0: "head"},
    "conservative": {0: "head", 10: "stage4", 20: "stage3", 30: "stage2 early"},
    "balanced": {0: "head", 5: "stage4", 10: "stage3", 15: "stage2", 20: "early"},
    "medical_optimized": {0: "head", 8: "stage4", 15: "stage3", 25: "stage2", 35: "early"},
    "aggressive": {0: "head", 3: "stage4 stage3", 6: "stage2", 9: "early"},
}
SHARES = {
    "none": [1, 1, 1, 1, 1],
    "conservative": [1, 0.1, 0.01, 0.001, 0.0001],
    "balanced": [1, 0.15, 0.0225, 0.003375, 0.00050625],
    "medical_optimized": [1, 0.05, 0.025, 0.0125, 0.00625],
    "aggressive": [1, 0.2, 0.04, 0.008, 0.0016],
}


def of(kind: str, epochs: int = REFERENCE, **values: object) -> Progressive:
    return STRATEGIES.validate_python({"kind": kind, "epochs": epochs, "rate": 2e-4, **values})


def phases(strategy: Progressive) -> list[Phase]:
    return [phase for stage in STAGES for phase in strategy.phases(stage, BASE)]


@pytest.mark.parametrize("kind", TABLE)
def test_groups_begin_when_the_table_says(kind: str) -> None:
    assert {leg.begins: " ".join(leg.new) for leg in of(kind).legs()} == TABLE[kind]
    covered = [epoch for leg in of(kind).legs() for epoch in range(leg.begins, leg.ends)]
    assert covered == list(range(REFERENCE)), "every epoch is in one leg"


@pytest.mark.parametrize("kind", SHARES)
def test_rates_are_the_tables_shares_of_the_heads(kind: str) -> None:
    last = of(kind).phases("end_to_end", BASE)[-1]
    expected = {f"group:{group}": 2e-4 * share for group, share in zip(LAYER_GROUPS, SHARES[kind], strict=True)}
    assert last.trainable == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "epochs"),
    [
        ("none", [0, 0, 50]),
        ("freeze_backbone", [50, 0, 0]),
        ("conservative", [10, 10, 10, 20]),
        ("balanced", [5, 5, 5, 5, 30]),
        ("medical_optimized", [8, 7, 10, 10, 15]),
        ("aggressive", [3, 3, 3, 41]),
    ],
)
def test_stages_take_the_head_the_middle_and_everything(kind: str, epochs: list[int]) -> None:
    strategy = of(kind)
    assert [phase.epochs for phase in phases(strategy)] == epochs
    assert {key for phase in strategy.phases("warmup", BASE) for key in phase.trainable} == {"group:head"}
    everything = {f"group:{group}" for group in LAYER_GROUPS}
    for phase in strategy.phases("end_to_end", BASE):
        assert set(phase.trainable) == (everything if phase.epochs else {"group:head"})


def test_only_the_end_of_the_run_hands_on_its_best_weights() -> None:
    kept = Handoff(weights="last", optimizer="keep")
    *before, last = phases(of("balanced"))
    assert [phase.handoff for phase in before] == [kept] * 4 and last.handoff == Handoff()
    frozen, *passed = phases(of("freeze_backbone"))
    assert frozen.handoff == Handoff() and [phase.handoff for phase in passed] == [kept, kept]


def test_a_phase_keeps_what_a_strategy_does_not_decide() -> None:
    base = Phase(
        epochs=7, trainable={"*": 1.0}, losses={"bce": 1.0}, batch_size=3, patience=4, layer_decay=0.5, warmup_steps=9
    )
    for phase in of("balanced").phases("partial_unfreeze", base):
        assert (phase.batch_size, phase.patience, phase.losses) == (3, 4, {"bce": 1.0})
        assert (phase.layer_decay, phase.warmup_steps) == (1.0, 0), "decided by the strategy alone"


@pytest.mark.parametrize(("kind", "epochs"), [("balanced", 20), ("conservative", 30), ("medical_optimized", 35)])
def test_a_schedule_longer_than_the_run_is_refused_with_the_remedy(kind: str, epochs: int) -> None:
    with pytest.raises(ValidationError, match=rf"longer than the run.*epoch {epochs}.*fit_schedule: true"):
        of(kind, epochs)
    assert of(kind, epochs + 1).legs()[-1].ends == epochs + 1


def test_fitting_scales_the_schedule_and_keeps_its_order() -> None:
    legs = of("balanced", 20, fit_schedule=True).legs()
    assert [(leg.begins, leg.ends) for leg in legs] == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 20)]
    longer = of("balanced", 100, fit_schedule=True).legs()
    assert [leg.begins for leg in longer] == [0, 10, 20, 30, 40]


@pytest.mark.parametrize("epochs", range(1, 12))
@pytest.mark.parametrize("kind", TABLE)
def test_however_short_the_run_everything_is_reached(kind: str, epochs: int) -> None:
    strategy = of(kind, epochs, fit_schedule=True)
    assert sum(phase.epochs for phase in phases(strategy)) == epochs
    reached = strategy.legs()[-1].groups
    assert reached == (("head",) if kind == "freeze_backbone" else LAYER_GROUPS), "and the stem with it"


def test_a_schedule_of_ones_own() -> None:
    strategy = of("custom", 6, unfreeze={"0": ["head"], "2": ["stage4", "early"]}, factors={"stage4": 0.5})
    assert [leg.stage for leg in strategy.legs()] == ["warmup", "partial_unfreeze"]
    assert strategy.phases("partial_unfreeze", BASE)[0].trainable == pytest.approx(
        {"group:head": 2e-4, "group:stage4": 1e-4, "group:early": 2e-4}
    )
    (passed,) = strategy.phases("end_to_end", BASE)
    assert passed.epochs == 0 and set(passed.trainable) == {"group:head", "group:stage4", "group:early"}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"unfreeze": {0: ["head"], 2: ["stage9"]}}, "no layer group stage9: the groups are head, stage4"),
        ({"unfreeze": {0: ["head"]}, "factors": {"stem": 0.1}}, "no layer group stem"),
        ({"unfreeze": {1: ["head"]}}, "the head begins to train in epoch 0"),
        ({"unfreeze": {0: ["head"], 2: ["stage4"], 3: ["stage4"]}}, "stage4 begins to train twice"),
        ({"unfreeze": {0: ["head"], 9: ["stage4"]}}, "longer than the run"),
    ],
)
def test_a_schedule_of_ones_own_is_refused_where_it_says_nothing(values: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        of("custom", 6, **values)


def test_values_survive_json() -> None:
    strategy = of("custom", 6, unfreeze={0: ["head"], 2: ["stage4"]})
    assert STRATEGIES.validate_json(STRATEGIES.dump_json(strategy)) == strategy
