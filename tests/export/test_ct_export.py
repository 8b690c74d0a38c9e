"""ct_abnormality leaves the project: one graph for a volume's slices, its operating point, answers to volume files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ct_bundles import RECIPE, TTA, chest

from components.core.data.dataset import Dataset
from components.core.errors import BadInput
from components.core.export.bundle import Bundle
from pipelines.commands_predict import predict_command


def test_the_shipped_path_says_what_evaluation_judges(
    ct_bundle: Bundle, ct_dataset: Dataset, ct_decision: dict[str, str]
) -> None:
    from components.evaluate.augmented import average_views

    task = RECIPE.build(ct_dataset.card)
    model = task.build_model(0).eval()
    examples = task.examples(ct_dataset, "test")
    batch = examples.load([0], [()], frozenset({"image", "labels"}))
    averaged = average_views(TTA, batch, lambda shown: task.predict(model, shown, {"image": shown["image"]}))
    predicted = {name: value[0] for name, value in averaged.items()}
    judged = task.score(ct_dataset, examples.ids[0], predicted, ct_decision, False)
    slices = np.asarray(ct_dataset.array(examples.ids[0], "slices"))
    found = RECIPE.predictor(ct_bundle).vote(slices).probability
    np.testing.assert_allclose(found, judged.evidence["probability"], atol=1e-4)
    assert ct_bundle.metadata["parity"]["greatest_difference"]["answer"] < 1e-4


def test_the_metadata_tell_the_operating_point_and_how_slices_are_cut(ct_bundle: Bundle) -> None:
    told = ct_bundle.metadata
    assert told["operating_point"]["fitted_on"] == "val" and any(told["inference"]["shifts"])
    assert told["inference"]["extraction"]["size"] == 32 and len(told["pred_classes"]) == 18
    assert set(told["prevalence"]) == set(told["pred_classes"].values())


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chest(tmp_path_factory.mktemp("volume") / "chest.nii.gz")


def test_a_volume_in_and_the_probability_of_every_label_out(ct_bundle: Bundle, volume: Path, tmp_path: Path) -> None:
    answer = predict_command(volume, "", ct_bundle.folder, tmp_path / "answer.json")
    written = json.loads((tmp_path / "answer.json").read_text())
    assert list(written["probability"]) != [] and set(written["probability"]) == set(
        ct_bundle.metadata["pred_classes"].values()
    )
    assert all(0 <= value <= 1 for value in written["probability"].values())
    assert list(written["variance"]) == list(written["probability"]), "two views are averaged: what they differ by"
    assert written["present"] == sorted(
        (name for name, value in written["probability"].items() if value >= 0.5),
        key=lambda name: -written["probability"][name],
    )
    assert written["image"] == "chest.nii.gz" and answer["files"] == {"values": str(tmp_path / "answer.json")}
    predict_command(volume, "", ct_bundle.folder, tmp_path / "answer.png")
    assert (tmp_path / "answer.png").stat().st_size > 1000


def test_what_is_no_volume_is_refused(ct_bundle: Bundle, volume: Path, tmp_path: Path) -> None:
    predictor = RECIPE.predictor(ct_bundle)
    with pytest.raises(BadInput, match="answers for volumes"):
        predictor.predict(np.zeros((8, 8, 3), np.uint8), "")
    with pytest.raises(BadInput, match="not asked by text"):
        predictor.predict(predictor.read(volume), "is there a nodule?")
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(volume.read_bytes()[:200])
    with pytest.raises(BadInput):
        predictor.read(broken)


def test_answering_needs_no_torch(ct_bundle: Bundle, volume: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'torchvision', 'timm')));"
        "from pathlib import Path; from pipelines.commands_predict import predict_command as ask;"
        f"ask(Path({str(volume)!r}), '', Path({str(ct_bundle.folder)!r}), Path({str(tmp_path / 'a.json')!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
