"""What parity accepts and what it refuses."""

import numpy as np
import pytest

from components.core.errors import BadInput
from components.core.export.parity import ParityCheck, ParityError, spread
from components.core.export.policy import Parity

ROW = np.array([0.5, -20.0, 3.0], dtype=np.float32)


def test_the_difference_is_relative_above_one_and_absolute_below() -> None:
    check = ParityCheck(Parity(logits=1e-3))
    check.outputs_agree("graph", ROW + np.array([0.0009, 0.015, 0], np.float32), ROW, "case")
    assert check.outputs["graph"] == pytest.approx(0.0009, rel=0.05)
    for wrong in ([0.002, 0, 0], [0, 0.03, 0], [np.nan, 0, 0]):
        with pytest.raises(ParityError, match="graph differs"):
            check.outputs_agree("graph", ROW + np.array(wrong, np.float32), ROW, "case")


def test_shapes_must_be_equal() -> None:
    with pytest.raises(ParityError, match=r"\(1, 3\)"):
        ParityCheck(Parity()).outputs_agree("graph", ROW[None], ROW, "case")


def test_masks_are_counted_over_all_images() -> None:
    check = ParityCheck(Parity(masks=0.99))
    truth = np.zeros((10, 10), bool)
    one = truth.copy()
    one[0, 0] = True
    check.mask(one, truth)
    check.mask(truth, truth)
    report = check.report()
    assert report["masks_equal"] == 0.995
    assert report["images"] == 2
    check.mask(~truth, truth)
    with pytest.raises(ParityError, match="masks agree on"):
        check.report()


def test_no_mask_is_no_agreement() -> None:
    with pytest.raises(ParityError):
        ParityCheck(Parity()).report()


@pytest.mark.parametrize(("have", "want", "rows"), [(3, 20, [0, 1, 2]), (5, 2, [0, 4]), (1, 1, [0]), (9, 3, [0, 4, 8])])
def test_samples_are_spread_evenly(have: int, want: int, rows: list[int]) -> None:
    assert spread(["x"] * have, want) == rows


def test_nothing_to_compare_on_is_an_error() -> None:
    with pytest.raises(BadInput, match="no test sample"):
        spread([], 20)
