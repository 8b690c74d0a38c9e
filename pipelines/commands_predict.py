"""What `thaw predict` does: ask a bundle about one picture. Needs torch only for prompts the bundle does not know."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from components.core.errors import BadInput
from components.core.export.bundle import Bundle, write_json
from components.core.export.ensemble import Ensemble
from components.core.export.prediction import Prediction
from components.predictors import predictor_of


def predict_command(
    image: Path, prompt: str, bundle: Path, out: Path | None = None, others: Sequence[Path] = ()
) -> dict[str, Any]:
    """Answer for one picture or volume and write the answer: pictures as PNG, values as JSON.

    Args:
        image: PNG, JPEG, TIFF or BMP; where the bundle answers for volumes .mha, .mhd, .nii, .nii.gz or a DICOM folder.
        prompt: What is asked; empty takes the bundle's only prompt.
        bundle: Folder made by `thaw export`.
        out: File that ends in `.png` or `.json`; None writes `<image>.mask.png` or the like, or `<image>.json` where
            the answer is no picture, into the working folder. Other pictures of the prediction are written beside the
            first, their names before the suffix.
        others: Further bundles: the answer is then the mean of all.

    Returns:
        The prediction's values, the files written by name, and the bundle's warning.

    Raises:
        BadInput: The bundle, the picture or the prompt cannot be used.
    """
    opened = Bundle.open(bundle)
    bundles = [opened, *(Bundle.open(folder) for folder in others)]
    if out is not None and out.suffix.lower() not in (".png", ".json"):
        raise BadInput(
            "the answer is written as PNG or JSON",
            where=str(out),
            remedy="give --out a name that ends in .png (pictures) or .json (values)",
        )
    prediction = _ask(image, prompt, bundles)
    told = {**prediction.values, "warning": opened.metadata.get("warning", "")}
    as_json = out.suffix.lower() == ".json" if out is not None else prediction.main == "values"
    if as_json:
        path = out or Path(f"{image.stem}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"image": image.name, **told})
        return {**told, "files": {"values": str(path)}}
    return {**told, "files": _write_pictures(prediction, image, out)}


def _ask(image: Path, prompt: str, bundles: Sequence[Bundle]) -> Prediction:
    predictors = [(bundle.folder, predictor_of(bundle)) for bundle in bundles]
    if len(predictors) == 1:
        predictor = predictors[0][1]
        return predictor.predict(predictor.read(image), prompt)
    if prompt:
        raise BadInput("an ensemble is not asked by text", where=f"prompt {prompt!r}", remedy="leave out --prompt")
    return Ensemble(predictors).ask(image)


def _write_pictures(prediction: Prediction, image: Path, out: Path | None) -> dict[str, str]:
    """Write every picture; the first one is the answer and takes the name."""
    files: dict[str, str] = {}
    answer = out or Path(f"{image.stem}.{next(iter(prediction.pictures))}.png")
    for name, picture in prediction.pictures.items():
        path = answer.with_name(f"{answer.stem}.{name}.png") if files else answer
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
        files[name] = str(path)
    return files
