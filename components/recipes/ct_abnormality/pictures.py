"""Pictures of one volume for the report: what it shows, what it was taken to show, and which slices told."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from components.core.data.dataset import Dataset
from components.core.data.pictures import Pictures
from components.core.digest import digest_values
from components.core.report.bars import SIDE, bars, likeliest
from components.recipes.ct_abnormality.loading import SLICES
from components.recipes.ct_abnormality.slices import as_rgb, places

SHOWN = 6
"""Labels that get a bar: the most probable ones, and whatever else is present."""

TELLING = 4
"""Slices that are shown of those that told most."""

UNKNOWN = -1
"""Several labels are no class: a linear probe has nothing to tell apart."""


def panels(
    slices: UInt8[np.ndarray, "m h w c"],
    truth: Float[np.ndarray, " l"],
    probability: Float[np.ndarray, " l"],
    names: Sequence[str],
    telling: Float[np.ndarray, "n l"] | None = None,
) -> dict[str, UInt8[np.ndarray, "_ _ 3"]]:
    """RGB panels by caption: `prediction` (the middle slice above bars), `slices` (those that told most).

    Args:
        slices: As they were prepared.
        truth: 1, 0 or NaN; bars of labels that are present are green, others are orange.
        probability: Of every label.
        telling: What each slice that the model saw added to each label's score; None where nobody asked.
    """
    present = np.flatnonzero(truth == 1).tolist()
    shown = likeliest(probability, SHOWN)
    shown += [number for number in present if number not in shown]
    middle = _fit(as_rgb(slices[len(slices) // 2 : len(slices) // 2 + 1], "")[0])
    title = f"{len(present)} of {int((~np.isnan(truth)).sum())} known labels present"
    found = {"prediction": np.concatenate([middle, bars(probability, names, shown, present, title)])}
    if telling is None:
        return found
    likely = shown[0]
    return {**found, f"slices that tell of {names[likely]}": _telling(slices, telling[:, likely])}


def answer(
    slices: UInt8[np.ndarray, "m h w c"], probability: Float[np.ndarray, " l"], names: Sequence[str]
) -> UInt8[np.ndarray, "u v 3"]:
    """The middle slice above bars of the most probable labels, where nobody knows the true ones."""
    middle = _fit(as_rgb(slices[len(slices) // 2 : len(slices) // 2 + 1], "")[0])
    return np.concatenate([middle, bars(probability, names, likeliest(probability, SHOWN))])


def _telling(slices: UInt8[np.ndarray, "m h w c"], telling: Float[np.ndarray, " n"]) -> UInt8[np.ndarray, "u v 3"]:
    """The slices that added most, in their order in the volume, two in a row."""
    seen = places(len(slices), len(telling))
    chosen = sorted(likeliest(telling, TELLING))
    tiles = [_fit(picture) for picture in as_rgb(slices[[seen[number] for number in chosen]], "")]
    tiles += [np.zeros_like(tiles[0])] * (TELLING - len(tiles))
    return np.asarray(np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])]), dtype=np.uint8)


def _fit(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "s s 3"]:
    how = cv2.INTER_AREA if picture.shape[0] > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=how), dtype=np.uint8)


def middle_slices(dataset: Dataset, splits: Sequence[str]) -> Pictures:
    """The middle slice of every volume of some splits: neighbours would be told from each other as strangers."""
    rows = [row for split in splits for row in dataset.rows(split)]

    def load(number: int) -> UInt8[np.ndarray, "h w 3"]:
        slices = dataset.array(rows[number].id, SLICES)
        middle = len(slices) // 2
        return np.asarray(as_rgb(np.asarray(slices[middle : middle + 1]), rows[number].id)[0])

    return Pictures(
        ids=[row.id for row in rows],
        groups=[row.group for row in rows],
        labels=[UNKNOWN] * len(rows),
        load=load,
        digest=digest_values([dataset.digest, SLICES, [row.id for row in rows]]),
    )
