"""What a layout finds: a picture, where its mask comes from, and what is known of it. Nothing is decoded yet."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from components.core.data.images import is_image, read_mask, stem
from components.core.data.slices import Plane, Planes, is_volume, list_planes
from components.core.errors import BadInput

StoredMask = Callable[[Plane | None, int, int], Integer[np.ndarray, "h w"]]
"""(plane of the picture, its height, its width) to the mask's stored values, [height, width]."""

LISTED = 5


@dataclass(frozen=True)
class Found:
    """One picture with its mask.

    Attributes:
        id: Unique, from the file's name.
        image: The picture's file.
        sources: Every file of the case, the picture's first.
        mask: Reads the stored mask values, all zero in layouts without masks. Raises BadInput if their size is
            another than the picture's.
        stratum: Class folder or the like; "all" where there is none; empty in layouts of classes where nobody
            labelled the picture.
        group: Patient or volume, if the layout says so.
        plane: The plane of a volume.
        texts: `prompt` and `caption`, where the layout gives them.
    """

    id: str
    image: Path
    sources: tuple[Path, ...]
    mask: StoredMask
    stratum: str = "all"
    group: str | None = None
    plane: Plane | None = None
    texts: Mapping[str, str] = field(default_factory=dict)


def mask_files(paths: Sequence[Path]) -> StoredMask:
    """The mask stored in files of the picture's size; several are merged (greatest value)."""
    return partial(_merged, tuple(paths))


def _merged(paths: tuple[Path, ...], plane: Plane | None, height: int, width: int) -> Integer[np.ndarray, "h w"]:
    merged: Integer[np.ndarray, "h w"] = np.zeros((height, width), np.uint8)
    for path in paths:
        values = read_mask(path, (plane or Plane(axis=0, index=0)) if is_volume(path) else None)
        if values.shape != (height, width):
            raise BadInput(
                f"the mask is {values.shape[1]} x {values.shape[0]} pixels, its picture {width} x {height}",
                where=str(path),
                remedy="give the mask that was drawn on this picture, at its size",
            )
        merged = np.maximum(merged, values)
    return merged


def cut_planes(found: Found, choice: Planes) -> list[Found]:
    """One case per chosen plane of a volume (its name then is the group); a picture passes as it is."""
    if not is_volume(found.image):
        return [found]
    return [
        dataclasses.replace(found, id=f"{found.id}/{plane.index:04d}", plane=plane, group=found.group or found.id)
        for plane in list_planes(found.image, choice)
    ]


def images_below(folder: Path) -> dict[str, Path]:
    """Pictures and volumes below a folder by relative name without suffix, sorted.

    Raises:
        BadInput: Two files differ in their suffix only.
    """
    found: dict[str, Path] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and is_image(path)):
        name = (path.parent.relative_to(folder) / stem(path)).as_posix()
        if name in found:
            raise BadInput(
                f"two cases have the name {name!r}", where=f"{found[name]}, {path}", remedy="rename or remove one"
            )
        found[name] = path
    return found


def refuse_unmatched(pictures: Sequence[Path], masks: Sequence[Path]) -> None:
    """Refuse pictures without masks and masks without pictures, naming them.

    Raises:
        BadInput: There are any.
    """
    for paths, lacks in ((pictures, "no mask"), (masks, "no picture")):
        if paths:
            more = f" and {len(paths) - LISTED} more" if len(paths) > LISTED else ""
            raise BadInput(
                f"{len(paths)} file(s) have {lacks}",
                where=", ".join(map(str, paths[:LISTED])) + more,
                remedy="give every picture a mask of the same name; an all-zero mask says that there is nothing",
            )


def inside(raw: Path, name: str, *, source: Path) -> Path:
    """The file that `source` names, which must exist inside the raw folder (its digest covers only that).

    Raises:
        BadInput: It is missing or outside.
    """
    path = raw / name
    if not path.resolve().is_relative_to(raw.resolve()):
        raise BadInput(f"{name!r} lies outside the raw folder", where=str(source), remedy=f"move it below {raw}")
    if not path.is_file():
        raise BadInput(f"the file {name!r} does not exist", where=str(source), remedy=f"names are relative to {raw}")
    return path
