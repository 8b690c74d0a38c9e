"""Mixing as a pure function of (seed, epoch, window, position), with labels that weigh what pixels show."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from timm.data import mixup as timm_mixup
from torch import Tensor

from components.core.augment.blending import mix_pixels, pair_up
from components.core.augment.mixing import Mix, Pairing, partners
from components.core.engine.phase import Phase

MIXUP = Mix(mixup=0.8, cutmix=0.0)
CUTMIX = Mix(mixup=0.0, cutmix=1.0)
EITHER = [Mix(per=per, probability=p) for per in ("batch", "pair") for p in (0.6, 1.0)]


def mixed(pairing: Pairing, batch: dict[str, Tensor], fields: set[str] | None = None) -> dict[str, Tensor]:
    size = len(batch["row"])
    return mix_pixels(pair_up(batch, pairing, range(size), size), pairing, range(size), fields or {"image"})


def numbered(size: int, *shape: int) -> dict[str, Tensor]:
    """Every sample's pixels hold its own number."""
    numbers = torch.arange(size, dtype=torch.float32)
    return {"row": torch.arange(size), "image": numbers.reshape(-1, *[1] * len(shape)).expand(size, *shape).clone()}


@given(size=st.integers(0, 40))
def test_partners_are_mutual_and_nobody_is_left_out(size: int) -> None:
    mates = partners(size)
    assert mates[mates].tolist() == list(range(size))
    alone = [position for position in range(size) if mates[position] == position]
    assert alone == ([size - 1] if size % 2 else [])


@pytest.mark.parametrize("mix", EITHER)
@pytest.mark.parametrize("shape", [(3, 17, 23), (2, 3, 17, 23)], ids=["pictures", "volumes"])
@pytest.mark.parametrize("size", [1, 2, 7])
def test_the_weight_is_the_share_of_the_pixels_that_are_the_samples_own(
    mix: Mix, shape: tuple[int, ...], size: int
) -> None:
    kinds = set()
    for window in range(30):
        pairing = mix.pairing(1, 2, window, size)
        batch = numbered(size, *shape)
        done = mixed(pairing, batch)
        for sample, mate in enumerate(partners(size).tolist()):
            pixels, weight = done["image"][sample], done["mix"][sample]
            if pairing.cut[sample]:
                own = (pixels == sample).sum() if mate != sample else torch.tensor(pixels.numel())
                assert float(weight) == np.float32(int(own) / pixels.numel()), "counted, not estimated"
                assert ((pixels == sample) | (pixels == mate)).all()
                first = pixels.flatten(end_dim=-3)[0]
                assert (pixels == first).all(), "one box in all channels and slices"
            else:
                torch.testing.assert_close(
                    pixels, torch.full_like(pixels, float(weight) * sample + (1 - float(weight)) * mate)
                )
            kinds.add((bool(pairing.cut[sample]), float(weight) == 1))
    if size > 1:
        assert {(True, False), (False, False)} <= kinds, "both kinds were seen"
    else:
        assert kinds == {(False, True)}, "nothing to mix with"


def test_a_batch_shares_one_draw_and_pairs_do_not() -> None:
    whole, pairs = Mix(per="batch").pairing(0, 0, 0, 8), Mix(per="pair").pairing(0, 0, 0, 8)
    assert len(set(whole.own)) == 1
    assert len(set(pairs.own)) == 4
    assert pairs.own[0::2].tolist() == pairs.own[1::2].tolist(), "both of a pair"
    assert len({tuple(box) for box in Mix(mixup=0, per="pair").pairing(0, 0, 0, 8).boxes(32, 32).tolist()}) == 4


@pytest.mark.parametrize("mix", EITHER)
def test_draws_depend_on_seed_epoch_window_and_place_and_on_nothing_else(mix: Mix) -> None:
    def told(pairing: Pairing) -> tuple[bytes, ...]:
        return tuple(array.tobytes() for array in (pairing.partners, pairing.own, pairing.cut, pairing.centres))

    drawn = {key: told(mix.pairing(*key, 6)) for key in np.ndindex(3, 3, 3)}
    assert len(set(drawn.values())) == 27
    np.random.seed(3)
    torch.manual_seed(3)
    assert told(mix.pairing(2, 1, 0, 6)) == drawn[2, 1, 0], "also after others and out of order"
    longer = mix.pairing(2, 1, 0, 8)
    assert longer.own[:6].tobytes() == drawn[2, 1, 0][1], "the size of the window moves no draw"


def test_weights_have_the_distribution_that_was_asked_for() -> None:
    """Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)). Tolerances are four standard errors of 4000 draws."""
    for alpha, mix in ((0.8, MIXUP), (0.2, Mix(mixup=0.2, cutmix=0)), (1.0, CUTMIX)):
        own = np.array([mix.pairing(5, 0, window, 2).own[0] for window in range(4000)])
        variance = 1 / (4 * (2 * alpha + 1))
        assert abs(own.mean() - 0.5) < 4 * np.sqrt(variance / 4000)
        assert own.var() == pytest.approx(variance, rel=0.1)
    apart = [Mix(mixup=0.05, cutmix=500).pairing(5, 0, window, 2) for window in range(200)]
    near_half = [abs(pairing.own[0] - 0.5) < 0.1 for pairing in apart]
    assert np.mean(near_half == np.array([pairing.cut[0] for pairing in apart])) > 0.95, "each kind has its alpha"
    both = [Mix().pairing(5, 0, window, 2) for window in range(4000)]
    assert np.mean([pairing.cut[0] for pairing in both]) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(4000))
    seldom = [Mix(switch=0.1, probability=0.3).pairing(5, 0, window, 2) for window in range(4000)]
    assert np.mean([pairing.own[0] < 1 for pairing in seldom]) == pytest.approx(0.3, abs=4 * 0.46 / np.sqrt(4000))
    assert np.mean([pairing.cut[0] for pairing in seldom]) == pytest.approx(0.1, abs=4 * 0.3 / np.sqrt(4000))


def test_a_clipped_box_leaves_more_of_the_sample() -> None:
    """E[kept area] after clipping, by counting over a grid of middles and a fine grid of lambda, against the draws."""
    lambdas, middles = (np.arange(400) + 0.5) / 400, (np.arange(200) + 0.5) / 200
    half = np.sqrt(1 - lambdas)[:, None] / 2
    side = (np.minimum(middles + half, 1) - np.maximum(middles - half, 0)).mean(axis=1)
    expected = 1 - (side**2).mean()
    found = np.array([CUTMIX.pairing(7, 0, window, 2).weights(512, 512)[0] for window in range(4000)])
    assert expected > 0.6, "without the correction it were 1/2"
    assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(len(found))


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("size", [32, 33])
def test_timm_mixes_the_same_pixels_and_labels(cut: bool, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """timm pairs first with last, so its batch is ordered for its pairs to be ours."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(6, 3, size, size + 5, generator=generator)
    label = torch.tensor([0, 1, 2, 3, 4, 0])
    order = [0, 2, 4, 5, 3, 1]
    for window in range(10):
        pairing = (CUTMIX if cut else MIXUP).pairing(0, 0, window, 6)
        ours = mixed(pairing, {"row": torch.arange(6), "image": image, "label": label})
        theirs = timm_mixup.Mixup(mixup_alpha=1.0, cutmix_alpha=1.0, label_smoothing=0.0, num_classes=5)
        top, bottom, left, right = pairing.boxes(size, size + 5)[0]
        monkeypatch.setattr(theirs, "_params_per_batch", lambda pairing=pairing: (float(pairing.own[0]), cut))
        height, width = (int(side * np.sqrt(1 - pairing.own[0])) for side in (size, size + 5))
        middles = iter((pairing.centres[0] * (size, size + 5)).astype(int))
        monkeypatch.setattr(np.random, "randint", lambda *_, middles=middles, **__: next(middles))
        mixed_image, target = theirs(image[order].clone(), label[order])
        torch.testing.assert_close(ours["image"][order], mixed_image, rtol=0, atol=1e-6)
        onehot = torch.nn.functional.one_hot(ours["label"], 5) * ours["mix"][:, None]
        onehot = onehot + torch.nn.functional.one_hot(ours["label:partner"], 5) * (1 - ours["mix"][:, None])
        torch.testing.assert_close(onehot[order], target, rtol=0, atol=1e-6)
        assert bottom - top <= height and right - left <= width


def test_every_other_field_has_a_partner_and_is_as_it_was() -> None:
    batch = {**numbered(5, 1, 4, 4), "label": torch.tensor([3, 1, 4, 1, 5]), "aux": torch.rand(5, 2)}
    before = {name: value.clone() for name, value in batch.items()}
    done = mixed(MIXUP.pairing(0, 0, 0, 5), batch)
    assert done["label"].tolist() == [3, 1, 4, 1, 5]
    assert done["label:partner"].tolist() == [1, 3, 1, 4, 5]
    assert torch.equal(done["aux:partner"], batch["aux"][[1, 0, 3, 2, 4]])
    assert "image:partner" not in done
    assert done["mix"].dtype == torch.float32
    assert done["mix"][4] == 1
    for name, value in before.items():
        assert torch.equal(batch[name], value), "what was loaded is not written to"


@pytest.mark.parametrize("mix", EITHER)
@pytest.mark.parametrize("size", [7, 8])
def test_a_share_of_the_window_with_its_partners_mixes_like_the_whole(mix: Mix, size: int) -> None:
    batch = {**numbered(size, 3, 9, 9), "label": torch.arange(size) % 3}
    pairing = mix.pairing(0, 1, 2, size)
    whole = mixed(pairing, batch)
    for start, stop in ((0, 3), (3, 4), (4, size)):
        own = list(range(start, stop))
        needed = list(dict.fromkeys([*own, *partners(size)[own].tolist()]))
        assert len(needed) <= len(own) + 2
        part = {name: value[needed] for name, value in batch.items()}
        done = mix_pixels(pair_up(part, pairing, needed, len(own)), pairing, own, {"image"})
        for name, value in whole.items():
            assert torch.equal(done[name], value[own]), name


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"label": (4,)}, "none of the fields"),
        ({"image": (4, 6)}, "not pictures of one size"),
        ({"image": (4, 1, 8, 8), "second": (4, 1, 6, 6)}, "not pictures of one size"),
    ],
)
def test_what_cannot_be_mixed_alike_is_never_mixed_in_part(shapes: dict[str, tuple[int, ...]], message: str) -> None:
    batch = {"row": torch.arange(4), **{name: torch.rand(*shape) for name, shape in shapes.items()}}
    with pytest.raises(ValueError, match=message):
        mixed(CUTMIX.pairing(0, 0, 0, 4), batch, {"image", "second"})


def phase(**values: Any) -> Phase:
    return Phase.model_validate({"epochs": 1, "trainable": {"*": 1e-3}, "losses": {"ce": 1.0}, **values})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mix": {"mixup": 0, "cutmix": 0}}, "both 0"),
        ({"mix": {"where": "features"}}, "set cutmix to 0"),
        ({"mix": {}, "views": 4}, r"views: 4 .*where: features .*views: 0"),
        ({"mix": {}}, "where: features"),
        ({"mix": {"switch": 1.5}, "views": 0}, "less than or equal to 1"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        phase(**values)


def test_values_that_can_be_meant_are_taken() -> None:
    assert phase().mix is None
    assert phase(mix={}, views=0).mix == Mix()
    assert phase(mix={"where": "features", "cutmix": 0}, views=4).views == 4
