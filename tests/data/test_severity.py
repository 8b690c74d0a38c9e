"""Views of classification pictures: what each number does, where pixels come from, and that nothing else decides."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torchvision.transforms import v2

from components.core.augment.crop import Crop, View
from components.core.augment.joint import resize_image
from components.core.augment.randaugment import BINS, OPERATIONS, rand_augment
from components.core.augment.severity import LEVELS, Severity

STILL: dict[str, Any] = {"crop": 1.0, "proportions": 1.0, "flip_horizontal": 0.0}
"""No geometry, and at the level light nothing else."""


def picture(height: int = 90, width: int = 120, seed: int = 0) -> np.ndarray:
    """Smooth random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def ramp(height: int, width: int) -> np.ndarray:
    """Every pixel's colour says where it is: red across, green down, both 255 at the far edge."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[:, :, 0] = np.rint((np.arange(width) + 0.5) / width * 255)[None, :]
    image[:, :, 1] = np.rint((np.arange(height) + 0.5) / height * 255)[:, None]
    image[:, :, 2] = 200
    return image


@pytest.mark.parametrize("level", LEVELS)
def test_the_empty_key_only_resizes(level: str) -> None:
    for image in (picture(), picture(64, 64), picture(20, 300)):
        assert np.array_equal(Severity(level=level).apply(image, 64, 3, ()), resize_image(image, 64))


@pytest.mark.parametrize("level", LEVELS)
def test_a_view_is_a_pure_function_of_seed_and_key_in_any_thread(level: str) -> None:
    severity, image = Severity(level=level), picture()
    keys = [(3, source, view) for source in range(4) for view in range(8)]
    legacy, engine = np.random.get_state()[1].copy(), torch.get_rng_state().clone()
    alone = [severity.apply(image, 48, 1, key) for key in keys]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda key: severity.apply(image, 48, 1, key), reversed(keys)))
    for one, other in zip(alone, reversed(together), strict=True):
        assert np.array_equal(one, other)
    assert len({view.tobytes() for view in alone}) == len(keys), "all differ"
    assert not np.array_equal(severity.apply(image, 48, 2, keys[0]), alone[0]), "the seed counts"
    assert np.array_equal(np.random.get_state()[1], legacy) and torch.equal(torch.get_rng_state(), engine)
    assert np.array_equal(image, picture()), "the picture is not written to"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape", [(1, 1), (2, 500), (300, 40), (700, 900)])
@pytest.mark.parametrize("size", [1, 33])
def test_pictures_of_any_shape_give_views_of_one(level: str, shape: tuple[int, int], size: int) -> None:
    severity = Severity(level=level, grid=1.0 if level == "aggressive" else 0.0, cutout=0.5)
    for view in range(4):
        seen = severity.apply(picture(*shape), size, 0, (view,))
        assert seen.shape == (size, size, 3) and seen.dtype == np.uint8 and seen.flags.c_contiguous


def test_a_level_sets_its_numbers_and_each_can_be_set_by_itself() -> None:
    light, moderate, aggressive = (Severity(level=level) for level in ("light", "moderate", "aggressive"))
    assert (light.rotation, light.brightness, light.blur, light.operations, light.cutout, light.grid) == (0,) * 6
    assert moderate.rotation and moderate.brightness and moderate.hue and moderate.blur and not moderate.operations
    assert aggressive.rotation == moderate.rotation
    assert aggressive.operations == 2 and aggressive.cutout and aggressive.grid
    own = Severity(level="aggressive", cutout=0.0, rotation=5.0)
    assert (own.cutout, own.rotation, own.operations) == (0.0, 5.0, 2)
    assert Severity.model_validate(own.model_dump(mode="json")) == own, "what was recorded says the same"
    assert Severity() == light


@pytest.mark.parametrize(
    "values", [{"level": "brutal"}, {"rotatoin": 3}, {"sigma": (0.1, 0.01)}, {"distortion": 0.5}, {"level": ["light"]}]
)
def test_values_that_cannot_be_meant_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Severity.model_validate(values)


@pytest.mark.parametrize(("across", "down"), [(True, False), (False, True), (True, True)])
def test_flips_alone_flip_the_resized_picture(across: bool, down: bool) -> None:
    image = picture(64, 64)
    severity = Severity(crop=1.0, proportions=1.0, flip_horizontal=float(across), flip_vertical=float(down))
    expected = image[:: -1 if down else 1, :: -1 if across else 1]
    assert np.array_equal(severity.apply(image, 64, 0, (1,)), expected)


@pytest.mark.parametrize("size", [40, 100, 300])
@pytest.mark.parametrize("degrees", [0.0, 25.0, -70.0])
@pytest.mark.parametrize("mirrored", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("distorted", [False, True])
def test_every_pixel_shows_the_place_it_should(
    size: int, degrees: float, mirrored: tuple[bool, bool], distorted: bool
) -> None:
    """A ramp's colours are coordinates: each is compared with the place that trigonometry says."""
    height, width = 200, 260
    crop = Crop(x=0.55, y=0.45, width=0.5, height=0.4)
    shifts = np.random.default_rng(0).uniform(-0.4, 0.4, (3, 3, 2)).astype(np.float32) if distorted else None
    seen = View(crop, mirrored, degrees, shifts, black=True).apply(ramp(height, width), size)
    rows, columns = np.mgrid[0:size, 0:size] + 0.5
    u, v = columns / size, rows / size
    if shifts is not None:
        u, v = u + moved(shifts[:, :, 0], u, v), v + moved(shifts[:, :, 1], u, v)
    u, v = ((1 - c if flip else c) - 0.5 for c, flip in zip((u, v), mirrored, strict=True))
    along, athwart = u * crop.width * width, v * crop.height * height
    angle = np.deg2rad(degrees)
    x = crop.x * width + np.cos(angle) * along + np.sin(angle) * athwart
    y = crop.y * height - np.sin(angle) * along + np.cos(angle) * athwart
    inside = (x > 3) & (x < width - 3) & (y > 3) & (y < height - 3)
    assert inside.mean() > 0.7
    assert np.abs(seen[:, :, 0] - x / width * 255)[inside].max() < 1.6
    assert np.abs(seen[:, :, 1] - y / height * 255)[inside].max() < 1.6
    assert np.abs(seen[:, :, 2][inside].astype(int) - 200).max() <= 1


def moved(shifts: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Bilinear in the corners of the grid, which stays put at the rim; as shares of the view's side."""
    corners, cells = np.pad(shifts, 1), len(shifts) + 1
    column, row = np.minimum((u * cells).astype(int), cells - 1), np.minimum((v * cells).astype(int), cells - 1)
    a, b = u * cells - column, v * cells - row
    top = (1 - a) * corners[row, column] + a * corners[row, column + 1]
    bottom = (1 - a) * corners[row + 1, column] + a * corners[row + 1, column + 1]
    return ((1 - b) * top + b * bottom) / cells


def test_crops_have_the_areas_and_ratios_that_were_asked_for() -> None:
    crops = [Crop.draw(np.random.default_rng(seed), 0.25, 4 / 3) for seed in range(3000)]
    areas = np.array([crop.width * crop.height for crop in crops])
    ratios = np.log([crop.width / crop.height for crop in crops])
    for crop in crops:
        assert crop.width / 2 <= crop.x + 1e-9 and crop.x + crop.width / 2 <= 1 + 1e-9
        assert crop.height / 2 <= crop.y + 1e-9 and crop.y + crop.height / 2 <= 1 + 1e-9
    assert areas.min() >= 0.25 and np.abs(ratios).max() <= np.log(4 / 3) + 1e-9
    assert np.allclose(np.quantile(areas, [0.25, 0.5, 0.75]), [0.4375, 0.625, 0.8125], atol=0.03), "uniform"
    fits = areas < 0.7
    assert np.allclose(np.quantile(ratios[fits], [0.25, 0.75]), np.array([-0.5, 0.5]) * np.log(4 / 3), atol=0.03)
    assert np.allclose(np.mean([(crop.x, crop.y) for crop in crops], axis=0), 0.5, atol=0.02)


def test_a_picture_is_shrunk_without_aliasing() -> None:
    """Stripes one pixel wide are grey from afar."""
    stripes = np.zeros((512, 512, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    for rotation in (0.0, 40.0):
        seen = Severity(crop=0.8, rotation=rotation).apply(stripes, 64, 0, (1,))
        assert np.abs(seen.astype(int) - 127).max() < 25


def test_outside_of_the_picture_is_its_mirror_image_or_black() -> None:
    image = np.full((64, 64, 3), 180, dtype=np.uint8)
    turned = {**STILL, "rotation": 45.0}
    assert (Severity(**turned).apply(image, 64, 0, (1,)) == 180).all()
    assert (Severity(**turned, border="black").apply(image, 64, 0, (1,)) == 0).any()


def test_each_step_changes_the_picture_and_no_other_steps_draws() -> None:
    image = picture(80, 80)
    still = Severity(**STILL).apply(image, 80, 0, (1,))
    assert np.array_equal(still, image), "nothing asked for, nothing done"
    for number in ("brightness", "contrast", "saturation", "hue"):
        changed = Severity(**STILL, jitter=1.0, **{number: 0.4}).apply(image, 80, 0, (1,))
        assert not np.array_equal(changed, image), number
        assert np.array_equal(Severity(**STILL, jitter=0.0, **{number: 0.4}).apply(image, 80, 0, (1,)), image)
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    blurred = Severity(**STILL, blur=1.0, sigma=(0.02, 0.02)).apply(noise, 80, 0, (1,))
    expected = cv2.GaussianBlur(noise, (0, 0), 1.6)
    assert np.array_equal(blurred, expected), "in shares of the side"
    crop = {"crop": 0.3, "flip_horizontal": 0.5}
    with_hole = Severity(**crop, cutout=1.0).apply(image, 80, 0, (1,))
    without = Severity(**crop).apply(image, 80, 0, (1,))
    assert (with_hole == without).all(axis=2).mean() > 0.9, "the same crop, with a hole"


def test_what_happens_in_one_step_says_nothing_of_another() -> None:
    left = np.zeros((32, 32, 3), dtype=np.uint8)
    left[:, :16] = 200
    severity = Severity(crop=1.0, proportions=1.0, flip_horizontal=0.5, blur=0.5, sigma=(0.05, 0.05))
    seen = [severity.apply(left, 32, 0, (key,)) for key in range(400)]
    flipped = [view[0, 31, 0] > 100 for view in seen]
    blurred = [len(np.unique(view)) > 2 for view in seen]
    assert abs(np.corrcoef(flipped, blurred)[0, 1]) < 0.2


def test_the_hole_of_cutout_has_its_size_and_the_mean_colour() -> None:
    image = picture(80, 80)
    sides = []
    for key in range(200):
        seen = Severity(**STILL, cutout=1.0, hole=0.25).apply(image, 80, 0, (key,))
        rows, columns = np.nonzero((seen != image).any(axis=2))
        area = seen[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        sides.append(area.shape[:2])
        mean = np.rint(image.reshape(-1, 3).mean(axis=0))
        assert np.abs(area - mean).max() <= 1
    assert np.max(sides) == 20, "a quarter of the side"
    assert np.min(sides) < 12, "clipped at the rim"


def test_jitter_reaches_its_limits_and_not_further() -> None:
    image = np.full((8, 8, 3), 100, dtype=np.uint8)
    severity = Severity(**STILL, jitter=0.5, brightness=0.3)
    means = np.array([severity.apply(image, 8, 0, (key,))[0, 0, 0] for key in range(1500)])
    assert means.min() in (70, 71) and means.max() in (129, 130)
    assert np.mean(means == 100) == pytest.approx(0.5, abs=0.06), "half are left alone"


@pytest.mark.parametrize("name", list(v2.RandAugment._AUGMENTATION_SPACE))
@pytest.mark.parametrize("negative", [False, True])
def test_randaugment_does_what_torchvisions_does(name: str, negative: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's class, made to choose as we did."""

    class Chosen:
        def integers(self, high: int, size: int) -> list[int]:
            return [list(OPERATIONS._AUGMENTATION_SPACE).index(name)] * size

        def random(self, size: int) -> list[float]:
            return [0.2 if negative else 0.8] * size

    image = picture(50, 50)
    ours = rand_augment(image, 1, 12, Chosen())  # type: ignore[arg-type]
    theirs = v2.RandAugment(1, 12, BINS, interpolation=v2.InterpolationMode.BILINEAR)
    monkeypatch.setattr(theirs, "_get_random_item", lambda space: (name, space[name]))
    monkeypatch.setattr(torch, "rand", lambda *_: torch.tensor(0.2 if negative else 0.8))
    expected = theirs(torch.from_numpy(image).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    assert np.array_equal(ours, expected)


def test_every_operation_is_drawn_equally_often(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(
        OPERATIONS, "_apply_image_or_video_transform", lambda image, name, *_, **__: (seen.append(name), image)[1]
    )
    severity = Severity(**STILL, operations=2)
    for key in range(700):
        severity.apply(picture(8, 8), 8, 0, (key,))
    counts = [seen.count(name) for name in OPERATIONS._AUGMENTATION_SPACE]
    assert len(seen) == 1400 and min(counts) > 60 and max(counts) < 145, "100 each"


def test_values_and_the_first_two_levels_need_no_torch() -> None:
    program = (
        "import sys; sys.modules['torch'] = sys.modules['torchvision'] = None\n"
        "import numpy as np\n"
        "from components.core.augment.severity import Severity\n"
        "from components.core.engine.phase import Phase\n"
        "for level in ('light', 'moderate', 'aggressive'): Severity(level=level)\n"
        "print(Severity(level='moderate').apply(np.zeros((9, 9, 3), np.uint8), 8, 0, (1,)).shape)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(8, 8, 3)"
