"""Several exported bundles answer together: their mean, what they differ by, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bundles import PROMPT
from ct_bundles import RECIPE, chest

from components.core.data.dataset import Dataset
from components.core.errors import BadInput
from components.core.export.bundle import METADATA, Bundle, write_json
from components.core.export.ensemble import Ensemble, Vote, averaged
from components.core.export.prediction import Prediction
from components.evaluate.ensemble import ensemble_system
from pipelines.cli import main

MEMBERS = (0, 1, 2)


@pytest.fixture(scope="module")
def folder(ct_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three bundles that differ in their operating points, and so in their answers."""
    made = tmp_path_factory.mktemp("bundles")
    for number in MEMBERS:
        own = made / f"member-{number}"
        shutil.copytree(ct_bundle.folder, own)
        shifts = [0.5 * number * (-1) ** label for label in range(len(ct_bundle.metadata["inference"]["shifts"]))]
        told = {**ct_bundle.metadata, "inference": {**ct_bundle.metadata["inference"], "shifts": shifts}}
        write_json(own / METADATA, told)
    return made


def bundles(folder: Path) -> list[Bundle]:
    return [Bundle.open(folder / f"member-{number}") for number in MEMBERS]


def test_one_vote_stays_what_it_is_and_several_are_averaged() -> None:
    one, other = np.array([0.2, 0.6]), np.array([0.4, 0.6])
    only = Vote(one)
    assert averaged([only]) is only and only.variance is None
    both = averaged([only, Vote(other)])
    np.testing.assert_allclose(both.probability, [0.3, 0.6], atol=1e-6)
    assert both.variance is not None
    np.testing.assert_allclose(both.variance, [0.01, 0.0], atol=1e-9)


def test_the_answer_to_a_file_is_the_mean_of_all(folder: Path, tmp_path: Path) -> None:
    volume, answers = chest(tmp_path / "chest.nii.gz"), []
    for bundle in bundles(folder):
        predictor = RECIPE.predictor(bundle)
        answers.append(predictor.vote(predictor.read(volume)).probability)
    named = [word for bundle in bundles(folder) for word in ("--bundle", str(bundle.folder))]
    assert main(["predict", str(volume), *named, "--out", str(tmp_path / "answer.json")]) == 0
    told = json.loads((tmp_path / "answer.json").read_text())
    names = predictor.names
    np.testing.assert_allclose([told["probability"][name] for name in names], np.mean(answers, axis=0), atol=2e-6)
    np.testing.assert_allclose([told["variance"][name] for name in names], np.var(answers, axis=0), atol=2e-6)
    assert max(told["variance"].values()) > 0
    assert set(told["present"]) == {name for name, value in told["probability"].items() if value >= 0.5}


def test_the_ensemble_is_judged_as_one_system(folder: Path, ct_dataset: Dataset) -> None:
    beats: list[None] = []
    system = ensemble_system(RECIPE.build(ct_dataset.card), ct_dataset, folder, lambda: beats.append(None))
    rows = ct_dataset.rows("test")
    assert system.name == "ensemble of 3" and system.kind == "ensemble" and len(beats) == len(rows)
    members = [RECIPE.predictor(bundle) for bundle in bundles(folder)]
    for case, row in zip(system.cases, rows, strict=True):
        slices = np.asarray(ct_dataset.array(row.id, "slices"))
        answers = [member.vote(slices).probability for member in members]
        np.testing.assert_allclose(case.evidence["probability"], np.mean(answers, axis=0), atol=1e-6)
        variance = [case.scores[f"variance:{name}"] for name in members[0].names]
        np.testing.assert_allclose(variance, np.var(answers, axis=0), atol=1e-8)


def test_bundles_of_another_dataset_are_refused(folder: Path, ct_dataset: Dataset, tmp_path: Path) -> None:
    task = RECIPE.build(ct_dataset.card)
    with pytest.raises(BadInput, match="no bundle"):
        ensemble_system(task, ct_dataset, tmp_path, lambda: None)
    foreign = tmp_path / "foreign"
    shutil.copytree(folder / "member-0", foreign)
    write_json(foreign / METADATA, {**json.loads((foreign / METADATA).read_text()), "data_digest": "another"})
    with pytest.raises(BadInput, match="another dataset"):
        ensemble_system(task, ct_dataset, tmp_path, lambda: None)


class Deaf:
    """A predictor whose answer is a picture."""

    def read(self, path: Path) -> np.ndarray:
        raise NotImplementedError

    def predict(self, image: np.ndarray, prompt: str) -> Prediction:
        raise NotImplementedError


def test_members_must_answer_for_the_same_labels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, _ = (RECIPE.predictor(bundle) for bundle in bundles(folder))
    names = second.settings.labels
    second.settings = second.settings.model_copy(update={"labels": (*names[1:], names[0])})
    with pytest.raises(BadInput, match="answers for"):
        Ensemble([(Path("a"), first), (Path("b"), second)])
    with pytest.raises(BadInput, match="no probabilities"):
        Ensemble([(Path("a"), Deaf())])
    with pytest.raises(BadInput, match="without a bundle"):
        Ensemble([])
    named = [word for number in (0, 1) for word in ("--bundle", str(folder / f"member-{number}"))]
    assert main(["predict", "chest.nii.gz", *named, "--prompt", PROMPT]) == 2
    assert "not asked by text" in capsys.readouterr().err
