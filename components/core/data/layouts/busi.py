"""Class folders with masks beside pictures, as in BUSI: `malignant/X.png`, `X_mask.png`, `X_mask_1.png`.

Source: Al-Dhabyani et al., Dataset of breast ultrasound images, Data in Brief 28 (2020) 104863. Several masks of
one picture are merged. The class folder is the stratum. BUSI names no patients.
"""

import re
from pathlib import Path

from components.core.data.layouts.found import Found, images_below, mask_files, refuse_unmatched

MASK = re.compile(r"(?P<stem>.+)_mask(_\d+)?", re.DOTALL)


def fits(raw: Path) -> bool:
    """Does a folder hold class folders with files named `*_mask*`?"""
    return any(MASK.fullmatch(file.stem) for file in raw.glob("*/*_mask*"))


def find(raw: Path) -> list[Found]:
    """List the cases.

    Raises:
        BadInput: A picture has no mask, or a mask no picture.
    """
    files = images_below(raw)
    masks: dict[str, list[Path]] = {}
    for name, path in files.items():
        match = MASK.fullmatch(name)
        if match:
            masks.setdefault(match["stem"], []).append(path)
    pictures = {name: path for name, path in files.items() if not MASK.fullmatch(name)}
    refuse_unmatched(
        [path for name, path in pictures.items() if name not in masks],
        [path for name, paths in masks.items() if name not in pictures for path in paths],
    )
    return [
        Found(
            id=name,
            image=path,
            sources=(path, *masks[name]),
            mask=mask_files(masks[name]),
            stratum=name.rpartition("/")[0] or "all",
        )
        for name, path in pictures.items()
    ]
