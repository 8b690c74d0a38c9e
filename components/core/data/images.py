"""Pictures and masks from files: PNG, JPEG, TIFF, BMP by Pillow, planes of volumes by `slices`."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Integer, Shaped, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from components.core.data.intensity import to_uint8
from components.core.data.quarantine import Unreadable
from components.core.data.slices import DICOM, NIFTI, Plane, Window, is_volume, read_plane
from components.core.errors import BadInput

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
MAX_PIXELS = 50_000_000
"""Pixels above which a picture is refused before it is decoded (decompression bombs)."""


def is_image(path: Path) -> bool:
    """Is this a visible file of a format that `read_image` takes?"""
    return path.name.lower().endswith(PICTURES + NIFTI + DICOM) and not path.name.startswith(".")


def stem(path: Path) -> str:
    """File name without its suffix, `.nii.gz` counting as one."""
    return path.name[: -len(".nii.gz")] if path.name.lower().endswith(".nii.gz") else path.stem


def read_image(path: Path, plane: Plane | None = None, window: Window | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """A picture as 8-bit RGB, transparency dropped, grey repeated.

    Args:
        path: Picture, NIfTI or DICOM file.
        plane: The plane to take of a volume.
        window: Grey levels that become 0 and 255 where the file has more than 8 bits; None: percentiles.

    Raises:
        Unreadable: Damaged, too large, several pages, or NaN or infinite pixels.
        BadInput: The optional package for the format is missing.
    """
    stored = read_plane(path, plane) if plane is not None else _decode(path)
    pixels = to_uint8(stored, str(path), window)
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        return np.ascontiguousarray(pixels)
    if pixels.ndim != 2:
        raise Unreadable(f"has pixels of shape {pixels.shape}; grey or RGB is read", where=path)
    return np.repeat(pixels[:, :, None], 3, axis=2)


def read_mask(path: Path, plane: Plane | None = None) -> Integer[np.ndarray, "h w"]:
    """A mask as the whole numbers its file stores: palette indices, grey levels or labels.

    One-bit files are black and white, 0 and 255: they can be merged with 8-bit ones of the same set.

    Raises:
        Unreadable: As for `read_image`.
        BadInput: The values are colours or fractions, so that they name no label.
    """
    values = read_plane(path, plane) if plane is not None else _decode(path, palette=True)
    if values.ndim == 3:
        if not (values == values[:, :, :1]).all():
            raise BadInput(
                "a mask in colours has no label values",
                where=str(path),
                remedy="store label values (0 for background) in a grey or palette PNG",
            )
        values = values[:, :, 0]
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(values.dtype, np.integer):
        return values
    return _whole(values, path)


def _whole(values: Shaped[np.ndarray, "h w"], path: Path) -> Integer[np.ndarray, "h w"]:
    if not np.isfinite(values).all():
        raise Unreadable("has NaN or infinite pixels", where=path)
    labels = values.astype(np.int32)
    if (labels != values).any():
        raise BadInput("a mask of fractions has no label values", where=str(path), remedy="store whole numbers")
    return labels


def grey(image: Shaped[np.ndarray, "h w *c"]) -> Shaped[np.ndarray, "h w"]:
    """Luminance of a picture (ITU-R BT.601); a grey picture passes unchanged."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image


def _decode(path: Path, *, palette: bool = False) -> Shaped[np.ndarray, "h w *c"]:
    if is_volume(path):
        raise BadInput("a volume was read without naming a plane", where=str(path), remedy="name the plane")
    try:
        with Image.open(path, formats=FORMATS) as file:
            return _pixels(file, path, palette)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path) from error
    except FileNotFoundError as error:
        raise Unreadable("does not exist", where=path) from error
    # What Pillow raises for damaged files, by format; UnidentifiedImageError is an OSError.
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, EOFError, struct.error, zlib.error) as error:
        raise Unreadable(f"is not a readable picture ({_reason(error, path)})", where=path) from error


def _pixels(file: Image.Image, path: Path, palette: bool) -> Shaped[np.ndarray, "h w *c"]:
    if file.width * file.height > MAX_PIXELS:
        raise _too_large(path)
    pages = getattr(file, "n_frames", 1)
    if pages != 1:
        raise Unreadable(f"has {pages} pages; one picture per file is read", where=path)
    file.load()
    upright = ImageOps.exif_transpose(file)
    if upright.mode in ("1", "L", "RGB", "F") or upright.mode.startswith("I"):
        return np.asarray(upright)
    if upright.mode == "P" and palette:
        return np.asarray(upright)
    return np.asarray(upright.convert("L" if upright.mode in ("LA", "La") else "RGB"))


def _too_large(path: Path) -> Unreadable:
    return Unreadable(f"has more than {MAX_PIXELS} pixels", where=path)


def _reason(error: Exception, path: Path) -> str:
    """The library's reason, without the folder it may name: reasons are kept in the card."""
    if isinstance(error, UnidentifiedImageError):
        return "its format is unknown or its start is damaged"
    return str(error).replace(str(path), path.name) or type(error).__name__
