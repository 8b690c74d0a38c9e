"""Phantoms on the disk, in the layout, the names and the tables of CT-RATE."""

import csv
import gzip
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from components.core.data.describe import SYNTHETIC
from components.core.errors import BadInput
from components.recipes.ct_abnormality.labels import LABELS
from components.recipes.ct_abnormality.phantom import Phantoms, Shot, draw, labels, shots
from components.recipes.ct_abnormality.phantom_canvas import EXTENT

NOTICE = f"""{SYNTHETIC} CT volumes drawn by a program. They show no patient and serve no diagnosis.
Labels: what the program drew. Licence: that of the program that drew them.
"""

FOLDERS = {"v1": "train", "v2": "train_fixed"}
"""Where CT-RATE's two releases keep their volumes; their names are the same."""

SLOPE, INTERCEPT = 1, -1024
"""Hounsfield units of the first release = slope * stored + intercept; its files do not say so, its table does."""


def write(settings: Phantoms, folder: Path) -> None:
    """Write the volumes, `multi_abnormality_labels` and `metadata` below `dataset`, and SOURCE.txt.

    Files are functions of the settings to the byte.

    Raises:
        BadInput: nibabel, which writes NIfTI files, is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SOURCE.txt").write_text(NOTICE, encoding="utf-8")
    dataset = folder / "dataset"
    taken = list(shots(settings))
    for shot in taken:
        scan = f"train_{shot.scan_name}"
        path = dataset / FOLDERS[settings.form] / f"train_{shot.patient}" / scan / name(shot)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(_nifti(draw(settings, shot), settings), compresslevel=1, mtime=0))
    shown = [labels(settings, shot.patient, shot.scan) for shot in taken]
    _table(
        dataset / "multi_abnormality_labels" / "train_predicted_labels.csv",
        LABELS,
        [(name(shot), *(int(own[label]) for label in LABELS)) for shot, own in zip(taken, shown, strict=True)],
    )
    z, y, x = spacing(settings)
    _table(
        dataset / "metadata" / "train_metadata.csv",
        ("RescaleSlope", "RescaleIntercept", "XYSpacing", "ZSpacing"),
        [(name(shot), SLOPE, INTERCEPT, f"[{x:g}, {y:g}]", f"{z:g}") for shot in taken],
    )


def name(shot: Shot) -> str:
    """`train_1_a_2.nii.gz`: split, patient, scan, reconstruction."""
    return f"train_{shot.scan_name}_{shot.reconstruction}.nii.gz"


def spacing(settings: Phantoms) -> tuple[float, float, float]:
    """Millimetres between slices, rows, columns."""
    shape = (settings.slices, settings.size, settings.size)
    z, y, x = (extent / count for extent, count in zip(EXTENT, shape, strict=True))
    return z, y, x


def _nifti(units: Int16[np.ndarray, "d h w"], settings: Phantoms) -> bytes:
    """A NIfTI-1 file; that of the first release lacks spacing as well as rescaling."""
    try:
        nibabel = import_module("nibabel")
    except ImportError as error:
        raise BadInput(
            "writing phantoms needs nibabel, which is not installed", remedy="install thaw[volumes]"
        ) from error
    first = settings.form == "v1"
    z, y, x = (1.0, 1.0, 1.0) if first else spacing(settings)
    stored = units - INTERCEPT if first else units
    # NIfTI's x runs to the right and its y to the front: the other way than columns and rows.
    image = nibabel.Nifti1Image(stored.astype(np.int16).transpose(2, 1, 0), np.diag([-x, -y, z, 1]))
    data: bytes = image.to_bytes()
    return data


def _table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["VolumeName", *columns])
        table.writerows(rows)
