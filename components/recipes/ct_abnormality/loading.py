"""One volume decoded once and cut into slices."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.core.data.card import VolumeFacts
from components.core.data.case import Decoded
from components.core.data.quarantine import Unreadable, Unwanted
from components.core.volumes.affine import axes, canonical_spacing
from components.core.volumes.extraction import Extracted, Extraction, extract
from components.core.volumes.hounsfield import Rescaling, choose
from components.core.volumes.limits import VolumeLimits
from components.core.volumes.open import open_volume
from components.core.volumes.source import Header
from components.recipes.ct_abnormality.metadata import VolumeMetadata

SLICES = "slices"
"""Array of a case: uint8 [n, s, s, c], from feet to head; rows from front to back, columns from the patient's right."""

SEEN, NOT_SEEN = "seen", "not seen"
"""Column `lungs`: whether slices are spread over them, or over the whole volume."""

NO_AIR = -200.0
"""A volume whose lowest value lies above shows no air: values that were never rescaled, or no CT."""

MASK = 255.0
"""A volume of whole numbers from 0 to this at most is a mask of some organ."""


@dataclass(frozen=True)
class _Held:
    """A volume that is decoded already."""

    header: Header
    stored: NDArray[np.generic]

    def voxels(self) -> NDArray[np.generic]:
        return self.stored


def load_volume(path: Path, extraction: Extraction, limits: VolumeLimits, metadata: VolumeMetadata | None) -> Decoded:
    """Decode a volume and cut its slices.

    Args:
        metadata: What CT-RATE's table says of it.

    Raises:
        Unwanted: It is a mask.
        Unreadable: It is damaged, its Hounsfield units are in doubt, or it shows no air at all.
        BadInput: A folder holds several DICOM series.
    """
    volume = open_volume(path, limits)
    held = _Held(volume.header, volume.voxels())
    if extraction.hu == "auto":
        _refuse_mask(held.stored, path)
    if metadata is not None:
        held = _respaced(held, metadata, extraction)
    extracted = extract(held, extraction, metadata.rescaling if metadata else None)
    if extraction.hu == "auto":
        _refuse_without_air(extracted, path)
    return Decoded({SLICES: extracted.slices}, _columns(extracted, extraction), _facts(extracted, extraction))


def _refuse_mask(stored: NDArray[np.generic], path: Path) -> None:
    low, high = float(stored.min()), float(stored.max())
    if low >= 0 and high <= MASK and bool((stored == np.rint(stored)).all()):
        raise Unwanted(f"holds {low:g} to {high:g} in whole numbers: a mask, not a CT", where=path)


def _refuse_without_air(extracted: Extracted, path: Path) -> None:
    low, high = extracted.hu_min, extracted.hu_max
    if low > NO_AIR:
        raise Unreadable(
            f"holds {low:g} to {high:g} ({extracted.rescaling}) and no air: stored values without their metadata table,"
            " or no CT (data.exclude); data.extraction.hu: header takes it as it is",
            where=path,
        )


def _respaced(held: _Held, metadata: VolumeMetadata, extraction: Extraction) -> _Held:
    """With the table's spacing, where the file is one of the first release, whose headers give none."""
    header, spacing = held.header, metadata.spacing_zyx
    stored = held.stored
    if spacing is None or (np.issubdtype(stored.dtype, np.floating) and not np.isfinite(stored).all()):
        return held
    own = Rescaling(header.slope, header.intercept)
    rescaled = choose(stored, own, metadata.rescaling, extraction.hu, header.path) != own
    if not rescaled and header.spacing_zyx != (1.0, 1.0, 1.0):
        return held
    return _Held(replace(header, affine=_scaled(header, spacing)), stored)


def _scaled(header: Header, spacing: tuple[float, float, float]) -> NDArray[np.float64]:
    """The affine with other distances along its axes."""
    affine = header.affine.copy()
    order, _ = axes(header.affine)
    wanted = dict(zip(order, spacing, strict=True))
    known = dict(zip(order, canonical_spacing(header.affine), strict=True))
    for axis in range(3):
        affine[:3, axis] *= wanted[axis] / known[axis]
    return affine


def _columns(extracted: Extracted, extraction: Extraction) -> dict[str, str | int | float]:
    """Columns of the index."""
    depth, height, width = extracted.shape
    z, y, x = extracted.spacing_mm
    return {
        **{"depth": depth, "height": height, "width": width},
        **{"spacing_z_mm": z, "spacing_y_mm": y, "spacing_x_mm": x},
        **{"hu_min": extracted.hu_min, "hu_max": extracted.hu_max, "slices": len(extracted.places)},
        **({"lungs": SEEN if extracted.lungs else NOT_SEEN} if extraction.choice.span == "lungs" else {}),
    }


def _facts(extracted: Extracted, extraction: Extraction) -> VolumeFacts:
    return VolumeFacts(
        shape=extracted.shape,
        spacing_mm=extracted.spacing_mm,
        hu_min=extracted.hu_min,
        hu_max=extracted.hu_max,
        slices=len(extracted.places),
        places=extracted.places,
        rescaling=str(extracted.rescaling),
        lungs=extracted.lungs if extraction.choice.span == "lungs" else None,
    )
