"""Seconds from a compressed volume's file to its windowed slices: our reader against those that others use, in turn.

Only reading differs: the same code chooses, scales and windows the slices of what each reader decoded.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from components.core.errors import BadInput
from components.core.volumes.extraction import Extracted, Extraction, extract
from components.core.volumes.open import is_volume_file, open_volume
from components.core.volumes.source import Header
from pipelines.benchmark.ratio import Ratio, ratio

OURS = "thaw"
TARGETS = {"nibabel": 1.5, "SimpleITK": 1.0, "MONAI LoadImage": 3.0}
"""How many times faster reading and cutting are expected to be."""

PHANTOM = (512, 512, 100)
"""Stored shape of a phantom: a chest CT of 3 mm slices."""

Read = Callable[[Path], NDArray[Any]]
"""A file to stored voxels [i, j, k]."""


@dataclass(frozen=True)
class Decoded:
    """A volume whose voxels another reader decodes."""

    header: Header
    read: Read

    def voxels(self) -> NDArray[np.generic]:
        return self.read(self.header.path)


@dataclass(frozen=True)
class Race:
    """What was measured.

    Attributes:
        seconds: Of all volumes, per round, by reader.
        volumes: How many.
        voxels: In all of them.
    """

    seconds: Mapping[str, Sequence[float]]
    volumes: int
    voxels: int

    def ratios(self) -> dict[str, Ratio]:
        """How many times faster than each of the others, round by round."""
        return {name: ratio(self.seconds[name], self.seconds[OURS], target) for name, target in TARGETS.items()}


def race(files: Sequence[Path], extraction: Extraction, rounds: int) -> Race:
    """Extract every volume with every reader, once untimed and then `rounds` times, readers in turn.

    Raises:
        BadInput: A reader is not installed, or two of them disagree about a slice.
    """
    readers: dict[str, Read | None] = {OURS: None, **_readers()}
    results = {name: [_extract(path, read, extraction) for path in files] for name, read in readers.items()}
    for name, found in results.items():
        _require_equal(name, found, results[OURS], files)
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, read in readers.items():
            began = time.perf_counter()
            for path in files:
                _extract(path, read, extraction)
            seconds[name].append(time.perf_counter() - began)
    voxels = sum(int(np.prod(open_volume(path).header.shape)) for path in files)
    return Race(seconds, len(files), voxels)


def _extract(path: Path, read: Read | None, extraction: Extraction) -> Extracted:
    file = open_volume(path)
    return extract(file if read is None else Decoded(file.header, read), extraction)


def _require_equal(name: str, found: Sequence[Extracted], ours: Sequence[Extracted], files: Sequence[Path]) -> None:
    for one, other, path in zip(found, ours, files, strict=True):
        if not np.array_equal(one.slices, other.slices):
            raise BadInput(f"{name} reads another volume than we do", where=str(path), remedy="report this file")


def _readers() -> dict[str, Read]:
    """The others: whole volumes as they give them to their users."""
    try:
        import nibabel
        import SimpleITK
        from monai.transforms.io.array import LoadImage
    except ImportError as error:
        raise BadInput(
            f"this benchmark needs {error.name}, which is not installed", remedy="install thaw[dev,volumes]"
        ) from error
    with warnings.catch_warnings(action="ignore"):  # it misses decoders for GPUs, which no CT here needs
        load = LoadImage(image_only=True)

    def by_nibabel(path: Path) -> NDArray[Any]:
        return np.asarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]

    def by_simpleitk(path: Path) -> NDArray[Any]:
        voxels: NDArray[Any] = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
        return voxels.transpose(2, 1, 0)

    def by_monai(path: Path) -> NDArray[Any]:
        voxels: NDArray[Any] = load(path).numpy()
        return voxels

    return {"nibabel": by_nibabel, "SimpleITK": by_simpleitk, "MONAI LoadImage": by_monai}


def volumes_of(folder: Path | None, scratch: Path, phantoms: int) -> list[Path]:
    """The compressed NIfTI files below a folder, or phantoms made for the purpose.

    Raises:
        BadInput: The folder holds none.
    """
    if folder is None:
        return [_phantom(scratch / f"phantom-{number}.nii.gz", number) for number in range(phantoms)]
    found = sorted(path for path in folder.rglob("*.nii.gz") if is_volume_file(path))
    if not found:
        raise BadInput("no .nii.gz files", where=str(folder), remedy="name another folder, or none for phantoms")
    return found


def _phantom(path: Path, seed: int) -> Path:
    """A body with lungs and the noise of a scanner: what decides how well a CT compresses."""
    import cv2
    import nibabel

    random = np.random.default_rng(seed)
    width, height, depth = PHANTOM
    rows, columns = np.mgrid[:height, :width] - np.array([[[height / 2]], [[width / 2]]])
    body = np.hypot(rows / 0.7, columns) < 0.45 * width
    lungs = np.hypot(rows, np.abs(columns) - 0.2 * width) < 0.13 * width
    planes = []
    for _ in range(depth):
        texture = cv2.GaussianBlur(random.normal(0, 300, (height, width)).astype(np.float32), (0, 0), 3)
        units = np.where(lungs, -850, 40) + texture + random.normal(0, 12, (height, width))
        planes.append(np.where(body, units, -1000).astype(np.int16))
    voxels = np.ascontiguousarray(np.stack(planes).transpose(2, 1, 0))
    image = nibabel.Nifti1Image(voxels, np.diag([-0.75, -0.75, 3.0, 1.0]))  # type: ignore[no-untyped-call]
    nibabel.save(image, path)
    return path


def race_table(found: Race) -> Table:
    """Seconds per volume and how many times faster ours is."""
    title = f"{found.volumes} volumes of {found.voxels / found.volumes / 1e6:.1f} million voxels: file to slices"
    table = Table(title=title, title_justify="left")
    table.add_column("reader")
    table.add_column("seconds per volume", justify="right")
    table.add_column("ours is faster by (range over rounds)", justify="right")
    ratios = found.ratios()
    for name, seconds in found.seconds.items():
        faster = str(ratios[name]) if name in ratios else ""
        table.add_row(name, f"{median(seconds) / found.volumes:.3f}", faster)
    return table
