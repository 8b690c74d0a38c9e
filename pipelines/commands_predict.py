"""What `thaw predict` does: ask a bundle about one picture. Needs torch only for prompts the bundle does not know."""

from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from components.core.data.images import read_image
from components.core.errors import BadInput
from components.core.export.bundle import RECIPE, Bundle
from components.recipes import AnyRecipe


def predict_command(image: Path, prompt: str, bundle: Path, out: Path | None = None) -> dict[str, Any]:
    """Answer for one picture and write the answer as PNG.

    Args:
        image: PNG, JPEG, TIFF or BMP.
        prompt: What is asked; empty takes the bundle's only prompt.
        bundle: Folder made by `thaw export`.
        out: PNG of the answer; None writes `<image>.mask.png` or the like into the working folder. Other pictures
            of the prediction are written beside it, their names before the suffix.

    Returns:
        The prediction's values, the files written by name, and the bundle's warning.

    Raises:
        BadInput: The bundle, the picture or the prompt cannot be used.
    """
    opened = Bundle.open(bundle)
    if out is not None and out.suffix.lower() != ".png":
        raise BadInput("the answer is written as PNG", where=str(out), remedy="give --out a name that ends in .png")
    predictor = _recipe(opened).predictor(opened)
    prediction = predictor.predict(read_image(image), prompt)
    first = next(iter(prediction.pictures))
    answer = out or Path(f"{image.stem}.{first}.png")
    files = {}
    for name, picture in prediction.pictures.items():
        path = answer if name == first else answer.with_name(f"{answer.stem}.{name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
        files[name] = str(path)
    return {**prediction.values, "files": files, "warning": opened.metadata.get("warning", "")}


def _recipe(bundle: Bundle) -> AnyRecipe:
    try:
        recipe: AnyRecipe = TypeAdapter(AnyRecipe).validate_python(dict(bundle.recipe))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise BadInput(
            f"the bundle's recipe is not one of this version: {'.'.join(map(str, problem['loc']))}: {problem['msg']}",
            where=str(bundle.folder / RECIPE),
            remedy="use the version of Thaw that wrote the bundle, or export again",
        ) from error
    return recipe
