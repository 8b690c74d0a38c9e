"""`images/` and `masks/`: the same relative name without suffix on both sides. A folder below is the stratum."""

from pathlib import Path

from components.core.data.layouts.found import Found, images_below, mask_files, refuse_unmatched


def fits(raw: Path) -> bool:
    """Are both folders there?"""
    return (raw / "images").is_dir() and (raw / "masks").is_dir()


def find(raw: Path) -> list[Found]:
    """List the cases.

    Raises:
        BadInput: A picture has no mask, or a mask no picture.
    """
    pictures, masks = images_below(raw / "images"), images_below(raw / "masks")
    refuse_unmatched(
        [path for name, path in pictures.items() if name not in masks],
        [path for name, path in masks.items() if name not in pictures],
    )
    return [
        Found(
            id=name,
            image=path,
            sources=(path, masks[name]),
            mask=mask_files([masks[name]]),
            stratum=name.rpartition("/")[0] or "all",
        )
        for name, path in pictures.items()
    ]
