"""COCO annotations: one json file with run lengths (plain or compressed) or polygons.

Mask values are category ids; larger objects are drawn first, so that smaller ones stay visible on them. The
stratum is the set of categories in a picture. Source: https://cocodataset.org/#format-data.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import Bool, UInt8
from pydantic import BaseModel, Field, ValidationError

from components.core.data.files import read_text
from components.core.data.images import MAX_PIXELS
from components.core.data.layouts.found import Found, inside
from components.core.data.rle import decode_compressed, decode_runs, fill_polygon
from components.core.data.slices import Plane
from components.core.errors import BadInput

FOLDERS = (".", "annotations")
Side = Annotated[int, Field(ge=1, le=MAX_PIXELS)]


class _Runs(BaseModel):
    size: tuple[Side, Side]
    counts: list[int] | str


class _Annotation(BaseModel):
    id: int = 0
    image_id: int
    category_id: int = Field(ge=1, le=255)
    segmentation: _Runs | list[list[float]]


class _Picture(BaseModel):
    id: int
    file_name: str
    height: Side
    width: Side


class _Category(BaseModel):
    id: int
    name: str


class _Document(BaseModel):
    images: list[_Picture]
    annotations: list[_Annotation]
    categories: list[_Category]


def fits(raw: Path) -> bool:
    """Is there one json file, here or in `annotations/`?"""
    return len(_files(raw)) == 1


def _files(raw: Path) -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((raw / folder).glob("*.json"))]


def find(raw: Path) -> list[Found]:
    """List the cases.

    Raises:
        BadInput: There is not exactly one json file, it is not a COCO document, or it names unknown things.
    """
    files = _files(raw)
    if len(files) != 1:
        raise BadInput(f"{len(files)} json files, 1 is read", where=str(raw), remedy="keep one COCO json in the folder")
    document = _read(files[0])
    names = {category.id: category.name for category in document.categories}
    annotations: dict[int, list[_Annotation]] = {picture.id: [] for picture in document.images}
    for annotation in document.annotations:
        if annotation.image_id not in annotations or annotation.category_id not in names:
            raise BadInput(
                f"annotation {annotation.id} names image {annotation.image_id} and category {annotation.category_id},"
                " of which one does not exist",
                where=str(files[0]),
                remedy="remove the annotation, or add what it names",
            )
        annotations[annotation.image_id].append(annotation)
    return [_found(raw, files[0], picture, annotations[picture.id], names) for picture in document.images]


def _read(path: Path) -> _Document:
    try:
        return _Document.model_validate_json(read_text(path))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        first = ".".join(str(part) for part in problems[0]["loc"])
        raise BadInput(
            f"not a COCO document: {first}: {problems[0]['msg']} ({len(problems)} problem(s))",
            where=str(path),
            remedy="images need id, file_name, height, width; annotations image_id, category_id, segmentation",
        ) from error


def _found(raw: Path, file: Path, picture: _Picture, annotations: list[_Annotation], names: dict[int, str]) -> Found:
    folder = "images" if (raw / "images" / picture.file_name).is_file() else "."
    image = inside(raw, str(Path(folder) / picture.file_name), source=file)
    return Found(
        id=Path(picture.file_name).with_suffix("").as_posix(),
        image=image,
        sources=(image, file),
        mask=partial(_draw, file, picture, annotations),
        stratum="+".join(sorted({names[annotation.category_id] for annotation in annotations})) or "none",
    )


def _draw(
    file: Path, picture: _Picture, annotations: list[_Annotation], plane: Plane | None, height: int, width: int
) -> UInt8[np.ndarray, "h w"]:
    if plane is not None:
        raise BadInput(
            "COCO annotates pictures, not planes of volumes", where=str(file), remedy="use images/ and masks/"
        )
    if (picture.height, picture.width) != (height, width):
        raise BadInput(
            f"{picture.file_name} is {width} x {height} pixels, its annotations say {picture.width} x {picture.height}",
            where=str(file),
            remedy="correct the size, or give the picture that was annotated",
        )
    shapes = [(_pixels(file, annotation, height, width), annotation.category_id) for annotation in annotations]
    mask = np.zeros((height, width), np.uint8)
    for shape, value in sorted(shapes, key=lambda item: -int(item[0].sum())):
        mask[shape] = value
    return mask


def _pixels(file: Path, annotation: _Annotation, height: int, width: int) -> Bool[np.ndarray, "h w"]:
    try:
        return _decode(annotation.segmentation, height, width)
    except ValueError as error:
        raise BadInput(
            f"annotation {annotation.id} cannot be drawn: {error}", where=str(file), remedy="correct its segmentation"
        ) from error


def _decode(segmentation: _Runs | list[list[float]], height: int, width: int) -> Bool[np.ndarray, "h w"]:
    if isinstance(segmentation, _Runs):
        if segmentation.size != (height, width):
            raise ValueError(f"its size {segmentation.size} is not {(height, width)}")
        if isinstance(segmentation.counts, str):
            return decode_compressed(segmentation.counts, height, width)
        return decode_runs(segmentation.counts, height, width)
    inside_any = np.zeros((height, width), np.bool_)
    for polygon in segmentation:
        if len(polygon) % 2:
            raise ValueError("a polygon has an odd number of coordinates")
        inside_any |= fill_polygon(np.array(polygon).reshape(-1, 2), height, width)
    return inside_any
