"""Class folders, as torchvision's ImageFolder reads them: `CLASS/any/depth/picture.png`.

One folder may hold pictures that nobody labelled. Pictures beside the class folders, and class folders without a
picture, are faults: torchvision passes over the former in silence.
"""

from collections.abc import Sequence
from pathlib import Path

from components.core.data.images import is_image
from components.core.data.layouts.found import LISTED, Found, images_below, mask_files
from components.core.errors import BadInput

PARTS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "eval"})
"""Names of folders that somebody's own division made, not of classes."""


def fits(raw: Path) -> bool:
    """Is there a folder with a picture somewhere below?"""
    return any(any(map(is_image, folder.rglob("*"))) for folder in _folders(raw))


def find(raw: Path, unlabelled: str) -> list[Found]:
    """List the pictures; the class folder is the stratum, empty below the folder `unlabelled`.

    Raises:
        BadInput: Pictures lie beside the class folders, a class folder holds none, two files differ in their suffix
            only, or the folders are those of a division.
    """
    folders = _folders(raw)
    _refuse_strays(raw)
    classes = [folder for folder in folders if folder.name != unlabelled]
    if classes and all(folder.name.lower() in PARTS for folder in classes):
        raise BadInput(
            f"the folders are {', '.join(folder.name for folder in classes)}: parts of a division, not classes",
            where=str(raw),
            remedy="put the class folders side by side (Thaw divides by groups itself), or give one part alone",
        )
    return [found for folder in folders for found in _below(folder, "" if folder.name == unlabelled else folder.name)]


def _folders(raw: Path) -> list[Path]:
    return sorted(path for path in raw.iterdir() if path.is_dir() and not path.name.startswith("."))


def _refuse_strays(raw: Path) -> None:
    strays: Sequence[Path] = sorted(path for path in raw.iterdir() if path.is_file() and is_image(path))
    if strays:
        more = f" and {len(strays) - LISTED} more" if len(strays) > LISTED else ""
        raise BadInput(
            f"{len(strays)} picture(s) lie beside the class folders, so that their class is unknown",
            where=", ".join(map(str, strays[:LISTED])) + more,
            remedy="move them into a class folder, or into the folder of unlabelled pictures",
        )


def _below(folder: Path, name: str) -> list[Found]:
    pictures = images_below(folder)
    if not pictures and name:
        raise BadInput(f"the class folder {name!r} holds no picture", where=str(folder), remedy="fill it or remove it")
    return [
        Found(
            id=f"{folder.name}/{inner}",
            image=path,
            sources=(path,),
            mask=mask_files([]),
            stratum=name,
        )
        for inner, path in pictures.items()
    ]
