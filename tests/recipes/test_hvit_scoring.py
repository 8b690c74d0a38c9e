"""hvit's judgement: scores and evidence of a sample, yardsticks, the share of labels, class weights, mixed labels."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from leaves import CLASSES, leaves
from torch.nn import functional as F

from components.core.data.dataset import Dataset
from components.core.data.label_names import names_of
from components.core.errors import BadInput
from components.core.losses.weights import check_weights, require_a_loss
from components.recipes.hvit.baselines import ColourHistogram, MajorityClass, histogram, yardsticks
from components.recipes.hvit.fraction import Labels
from components.recipes.hvit.measures import summary_of
from components.recipes.hvit.objectives import Objectives
from components.recipes.hvit.scoring import confusion, judge, stack, statistics
from components.recipes.hvit.terms import TERMS, class_weights, loss_terms

BOTH = {"ce": 0.5, "focal": 0.5}
PLAIN = Objectives()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return leaves(tmp_path_factory.mktemp("leaves"))


def test_one_sample(dataset: Dataset) -> None:
    row = next(row for row in dataset.rows("test") if row.stratum == "healthy")
    case = judge(dataset, row.id, np.array([0.2, 0.5, 0.3], dtype=np.float32), CLASSES)
    assert case.scores == pytest.approx({"accuracy": 1.0, "probability_of_truth": 0.5, "nll": math.log(2)})
    assert (case.label, case.group, case.pictures) == ("healthy", row.group, {})
    assert case.evidence["truth"].shape == () and case.evidence["truth"] == 1
    assert case.evidence["probability"].dtype == np.float64


def test_a_certain_mistake_costs_a_finite_number(dataset: Dataset) -> None:
    row = next(row for row in dataset.rows("test") if row.stratum == "rust")
    scores = judge(dataset, row.id, np.array([1.0, 0.0, 0.0]), CLASSES).scores
    assert scores["accuracy"] == 0 and scores["nll"] == pytest.approx(15.94, abs=0.01)


def test_a_sample_of_another_dataset_is_refused(dataset: Dataset) -> None:
    with pytest.raises(BadInput, match="no sample 'elsewhere'"):
        judge(dataset, "elsewhere", np.ones(3) / 3, CLASSES)
    with pytest.raises(BadInput, match="of a known class"):
        judge(dataset, dataset.rows("test")[0].id, np.ones(2) / 2, ("mildew", "scab"))


def test_pictures_show_what_was_seen_and_answered(dataset: Dataset) -> None:
    row = next(row for row in dataset.rows("test") if row.stratum == "blight")
    relevance = np.zeros((4, 4))
    relevance[0, 0] = 2.0
    found = judge(
        dataset, row.id, np.array([0.7, 0.2, 0.1]), CLASSES, maps={"relevance": relevance}, pictures=True
    ).pictures
    assert list(found) == ["prediction", "relevance"]
    board, heat = found["prediction"], found["relevance"]
    assert board.shape[1] == heat.shape[1] == 256 and board.shape[0] > 256
    bar = board[256 + 26 + 13]
    assert (bar[:170] == (0, 158, 115)).all(axis=1).sum() > 50, "the true class has a green bar"
    assert not (bar[185:] == (0, 158, 115)).all(axis=1).any(), "of the length of its probability"
    assert heat[16, 16, 0] > heat[16, 16, 2] and heat[200, 200, 2] > heat[16, 16, 2], "yellow where it counts"
    plain = judge(dataset, row.id, np.array([0.7, 0.2, 0.1]), CLASSES, pictures=True).pictures
    assert list(plain) == ["prediction"]


def test_statistics_and_confusion_come_from_the_evidence(dataset: Dataset) -> None:
    cases = MajorityClass(CLASSES, Labels()).predict(dataset)
    counts = np.asarray(confusion(cases, CLASSES).counts)
    assert counts[:, 1].sum() == counts.sum() == len(dataset.rows("test")), "everything is taken for the commonest"
    found = {name: value(stack(cases, 3)) for name, value in statistics(CLASSES).items()}
    assert found["balanced_accuracy"] == pytest.approx(1 / 3)
    assert found["recall:healthy"] == 1 and found["recall:rust"] == 0
    assert found["precision:healthy"] == pytest.approx(np.mean([case.scores["accuracy"] for case in cases]))
    assert math.isnan(found["precision:rust"])


def test_the_majority_answers_with_the_shares_of_train(dataset: Dataset) -> None:
    rows = dataset.rows("train")
    shares = [sum(row.stratum == name for row in rows) / len(rows) for name in CLASSES]
    for case in MajorityClass(CLASSES, Labels()).predict(dataset):
        assert case.evidence["probability"].tolist() == pytest.approx(shares)


def test_colours_solve_what_colours_decide(dataset: Dataset) -> None:
    assert [one.name for one in yardsticks(CLASSES, Labels())] == ["majority class", "colour histogram"]
    cases = ColourHistogram(CLASSES, Labels()).predict(dataset)
    assert [case.id for case in cases] == [row.id for row in dataset.rows("test")]
    assert np.mean([case.scores["accuracy"] for case in cases]) == 1


def test_a_histogram_is_of_unit_length_and_knows_no_place() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    found = histogram(image)
    assert np.linalg.norm(found) == pytest.approx(1)
    assert np.array_equal(found, histogram(np.ascontiguousarray(image[::-1, ::-1])))


def test_smaller_shares_of_labels_are_parts_of_larger_ones(dataset: Dataset) -> None:
    rows = dataset.rows("train")
    chosen = [{row.id for row in Labels(fraction=share).choose(rows)} for share in (0.01, 0.3, 0.5, 0.75, 1.0)]
    assert all(small <= large for small, large in pairwise(chosen)) and len(chosen[0]) < len(chosen[2]) < len(rows)
    assert chosen[-1] == {row.id for row in rows}
    for ids in chosen:
        kept = [row for row in rows if row.id in ids]
        assert {row.stratum for row in kept} == set(CLASSES), "no class is lost"
        groups = {row.group for row in kept}
        assert all(row.id in ids for row in rows if row.group in groups), "groups stay whole"
    half = Labels(fraction=0.5)
    assert half.choose(rows) == half.choose(list(rows)) != Labels(fraction=0.5, seed=1).choose(rows)


def test_balanced_weights_make_classes_weigh_the_same(dataset: Dataset) -> None:
    assert names_of(dataset.card) == list(CLASSES)
    weights = class_weights(Objectives(class_weights="balanced"), CLASSES, dataset.card)
    assert weights is not None
    rows = dataset.rows("train")
    totals = [weights[i].item() * sum(row.stratum == name for row in rows) for i, name in enumerate(CLASSES)]
    assert totals == pytest.approx([len(rows) / 3] * 3)
    assert class_weights(PLAIN, CLASSES, dataset.card) is None
    given = class_weights(Objectives(class_weights=(1.0, 2.0, 3.0)), CLASSES, dataset.card)
    assert given is not None and given.tolist() == [1, 2, 3]
    with pytest.raises(BadInput, match="2 class weights for 3 classes"):
        class_weights(Objectives(class_weights=(1.0, 2.0)), CLASSES, dataset.card)


def test_mixed_samples_pay_for_both_labels() -> None:
    """Smoothed cross-entropy is linear in the target: against the blended target it is the same."""
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    own, other = torch.arange(6) % 4, torch.arange(6) * 3 % 4
    share = torch.linspace(0, 1, 6, dtype=torch.float64)
    batch = {"label": own, "label:partner": other, "mix": share}
    found = loss_terms(logits, batch, BOTH, PLAIN, None)
    target = share[:, None] * F.one_hot(own, 4) + (1 - share[:, None]) * F.one_hot(other, 4)
    expected = F.cross_entropy(logits, target, reduction="none", label_smoothing=0.1)
    torch.testing.assert_close(found["ce"], 0.5 * expected)
    alone = loss_terms(logits, {"label": own}, BOTH, PLAIN, None)
    partner = loss_terms(logits, {"label": other}, BOTH, PLAIN, None)
    torch.testing.assert_close(found["focal"], share * alone["focal"] + (1 - share) * partner["focal"])
    assert found["focal"][-1] == alone["focal"][-1] and found["focal"][0] == partner["focal"][0]


def test_smoothing_is_for_the_cross_entropy_alone() -> None:
    logits, label = torch.zeros(1, 2), torch.tensor([0])
    logits[0, 0] = 50.0
    found = loss_terms(logits, {"label": label}, {"ce": 1.0, "focal": 1.0}, PLAIN, None)
    assert found["ce"].item() == pytest.approx(0.05 * 50) and found["focal"].item() == 0


def test_terms_of_no_weight_are_not_computed() -> None:
    assert set(loss_terms(torch.zeros(1, 2), {"label": torch.tensor([0])}, {"ce": 0.0, "focal": 1.0}, PLAIN, None)) == {
        "focal"
    }


@pytest.mark.parametrize(
    ("losses", "match"),
    [({"focl": 1.0}, "did you mean 'focal'"), ({"ce": -1.0}, "is -1"), ({"ce": 0.0, "focal": 0.0}, "every loss")],
)
def test_senseless_weights_are_refused(losses: dict[str, float], match: str) -> None:
    with pytest.raises(BadInput, match=match):
        check_weights(losses, TERMS)
        require_a_loss(losses, TERMS)


def test_gamma_between_nothing_and_one_is_refused() -> None:
    with pytest.raises(ValueError, match="without a bound"):
        Objectives(gamma=0.5)


def test_validation_sums_up_and_needs_samples() -> None:
    measured = {
        "truth": torch.tensor([0.0, 1.0, 1.0]),
        "probability": torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]]),
        "loss_ce": torch.tensor([0.1, 0.9, 0.2]),
        "loss_focal": torch.tensor([0.0, 0.3, 0.0]),
    }
    found = summary_of(measured)
    assert found["accuracy"] == pytest.approx(2 / 3) and found["f1_macro"] == pytest.approx(2 / 3)
    assert found["loss"] == pytest.approx(found["loss_ce"] + found["loss_focal"]) == pytest.approx(0.5)
    with pytest.raises(BadInput, match="no validation samples"):
        summary_of({})
