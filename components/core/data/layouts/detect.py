"""The layouts by name, and which of them a folder has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from components.core.data.layouts import busi, class_table, coco, folders, pairs, table
from components.core.data.layouts.found import Found, cut_planes
from components.core.data.slices import Planes
from components.core.errors import BadInput


@dataclass(frozen=True)
class Layout:
    """One way of keeping pictures and masks.

    Attributes:
        fits: Does this folder look like it? Reads names and headers only.
        find: Lists the cases.
        description: What the folder must hold.
    """

    fits: Callable[[Path], bool]
    find: Callable[[Path], list[Found]]
    description: str


def _layout(module: ModuleType, description: str) -> Layout:
    return Layout(module.fits, module.find, description)


MASKS: Mapping[str, Layout] = {  # in the order they are tried: a table says most, class folders least
    "csv": _layout(table, "one .csv table with the columns image and mask"),
    "coco": _layout(coco, "one COCO .json file"),
    "pairs": _layout(pairs, "folders images/ and masks/ with equal names"),
    "busi": _layout(busi, "class folders with X.png and X_mask.png"),
}


def classes(unlabelled: str) -> dict[str, Layout]:
    """The layouts of classified pictures, in the order they are tried.

    Args:
        unlabelled: Folder whose pictures nobody labelled, beside the class folders.
    """
    return {
        "csv": _layout(class_table, "one .csv table with the columns image and label"),
        "folders": Layout(folders.fits, partial(folders.find, unlabelled=unlabelled), "one folder per class"),
    }


def find(raw: Path, layout: str, planes: Planes, layouts: Mapping[str, Layout] = MASKS) -> tuple[str, list[Found]]:
    """List the cases of a folder.

    Args:
        raw: The folder.
        layout: A name from `layouts`, or `auto`.
        planes: Which planes of volumes become cases.
        layouts: Those that may be meant: pictures with masks, or `classes`.

    Returns:
        The layout's name, and its cases.

    Raises:
        BadInput: The folder is empty, fits no layout, or is at fault in its own layout's way.
    """
    if not raw.is_dir():
        raise BadInput("the raw data must be a folder", where=str(raw), remedy="give the folder that holds the file")
    if not any(raw.iterdir()):
        raise BadInput("the raw folder is empty", where=str(raw), remedy="give the folder that holds the pictures")
    name = _detected(raw, layouts) if layout == "auto" else layout
    found = [plane for case in layouts[name].find(raw) for plane in cut_planes(case, planes)]
    if not found:
        raise BadInput(f"no pictures were found (layout {name})", where=str(raw), remedy=layouts[name].description)
    return name, found


def _detected(raw: Path, layouts: Mapping[str, Layout]) -> str:
    for name, layout in layouts.items():
        if layout.fits(raw):
            return name
    known = "; ".join(f"{name}: {layout.description}" for name, layout in layouts.items())
    raise BadInput("the folder has no layout that is known", where=str(raw), remedy=f"arrange it as one of {known}")
