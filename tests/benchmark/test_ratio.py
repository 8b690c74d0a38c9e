"""Ratios, intervals and the break-even epoch from given seconds."""

import pytest

from pipelines.benchmark.pace import CACHED, OFF, TEXTS, Pace
from pipelines.benchmark.ratio import Target, break_even, ratio, saving


def test_a_ratio_is_taken_pair_by_pair() -> None:
    found = ratio([10.0, 60.0, 12.0], [1.0, 10.0, 1.0], target=8.0)
    assert (found.median, found.low, found.high) == (10.0, 6.0, 12.0)
    assert found.met and str(found) == "10.00x (6.00 to 12.00), at least 8x"
    assert "BELOW" in str(ratio([10.0], [2.0], target=8.0))
    with pytest.raises(ValueError, match="argument"):
        ratio([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("fill", "cached", "off", "epoch"),
    [(0.0, 1.0, 2.0, 1), (2.5, 1.0, 2.0, 3), (3.0, 1.0, 2.0, 3), (10.0, 2.0, 2.0, None), (10.0, 3.0, 2.0, None)],
)
def test_break_even_is_the_first_epoch_that_pays(fill: float, cached: float, off: float, epoch: int | None) -> None:
    assert break_even(fill, cached, off) == epoch
    if epoch is not None:
        assert fill + epoch * cached <= epoch * off
        assert epoch == 1 or fill + (epoch - 1) * cached > (epoch - 1) * off


def test_a_saving_leaves_texts_out_of_the_images_share() -> None:
    epochs = {CACHED: [1.0, 2.0], TEXTS: [4.0, 8.0], OFF: [6.0, 12.0]}
    found = saving(Pace("warmup", 4, 2, views=1, clock="wall", fill=9.0, epochs=epochs), Target(all=5.0, vision=4.5))
    assert (found.all.median, found.vision.median) == (6.0, 4.0)
    assert found.all.met and not found.vision.met
    assert found.break_even == 2  # 9 + 2 * 1.5 <= 2 * 9
    assert saving(found.pace, None).vision.met
