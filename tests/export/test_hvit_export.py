"""hvit's bundle: what is written, that it says what the model says with any views, and how it answers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta
from components.core.data.dataset import Dataset
from components.core.data.prepare import prepare
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Split
from components.core.errors import BadInput
from components.core.export.bundle import Bundle
from components.core.export.parity import ParityError
from components.core.export.policy import Policy
from components.core.runtime import Runtime
from components.core.tta import Tta
from components.export.stage import STAGE, Config, Inputs, Outputs
from components.recipes.hvit.data import HVitData
from components.recipes.hvit.export import export_model
from components.recipes.hvit.predictor import HVitPredictor
from components.recipes.hvit.recipe import HVit
from components.recipes.hvit.synthetic import Synthetic
from pipelines.commands_predict import predict_command

ROOT = Path(__file__).resolve().parents[2]
SEED = 3
VIEWS = ["identity", "flip_horizontal", "scale_0.9"]
BACKBONE = {
    "name": "hvit_tiny",
    "arguments": {"patch_size": 4, "dims": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "heads": [1, 1, 2, 2]},
}
RECIPE = HVit.model_validate(
    {
        "data": HVitData(synthetic=Synthetic(images=40, unlabelled=4, size=40, classes=3)),
        "model": {"backbone": BACKBONE, "image_size": 32, "second_stream": {"kind": "wavelet", "patch": 8}},
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared dataset, a model folder whose classes are not a coin's toss, and an evaluation."""
    folder = tmp_path_factory.mktemp("hvit")
    prepare(RECIPE.data, None, Split(every_stratum=True), QuarantineLimits(), folder / "dataset", recipe="hvit")
    dataset = Dataset.open(folder / "dataset")
    model = awake(dataset)
    meta = ModelMeta(
        recipe=RECIPE.model_dump(mode="json"),
        phase="end_to_end",
        step=1,
        decision={},
        data_digest=dataset.digest,
        extra={"seed": SEED},
    )
    digest = ModelArtifact.save(folder / "model", dict(model.state_dict()), None, meta)
    evaluation = {
        "headline": "f1_macro",
        "models": {"end_to_end": digest},
        "systems": {"end_to_end": {}, "end_to_end (tta)": {}},
        "labels": {"end_to_end": {}, "end_to_end (tta)": {}},
        "tta": {"views": VIEWS},
    }
    (folder / "metrics.json").write_text(json.dumps(evaluation), encoding="utf-8")
    return folder


def awake(dataset: Dataset) -> Any:
    """An untrained model with classes that pictures differ in."""
    model = RECIPE.build(dataset.card).build_model(SEED)
    for name, parameter in model.named_parameters():
        if name.startswith("head.") and parameter.ndim == 2:
            parameter.data.mul_(20)
    return model.eval()


def written(folder: Path, dataset: Dataset, views: list[str]) -> HVitPredictor:
    """What the recipe itself writes, opened without the stage."""
    folder.mkdir()
    task = RECIPE.build(dataset.card)
    policy = Policy(tta=Tta(views=tuple(views)))
    own = export_model(awake(dataset), RECIPE.model, task.predict, dataset, policy, folder)
    return HVitPredictor.open(Bundle(folder, own, {}))


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return Dataset.open(folder / "dataset")


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    values = {"seed": SEED, "recipe": RECIPE.model_dump(), "runtime": Runtime(progress=False)}
    inputs = Inputs(folder / "dataset", folder / "model", folder / "metrics.json")
    STAGE.run(Config.model_validate(values), inputs, Outputs(folder / "bundle"))
    return Bundle.open(folder / "bundle")


@pytest.fixture
def picture(dataset: Dataset, tmp_path: Path) -> Path:
    path = tmp_path / "leaf.png"
    image = np.asarray(dataset.array(dataset.rows("test")[0].id, "image"))
    Image.fromarray(image[:33]).save(path)
    return path


def test_the_bundle_tells_what_a_reader_must_know(bundle: Bundle, dataset: Dataset) -> None:
    names = {path.name for path in bundle.folder.iterdir()}
    assert names == {"metadata.json", "recipe.json", "weights.safetensors", "classifier.onnx"}
    metadata = bundle.metadata
    assert metadata["pred_classes"] == {"0": "healthy", "1": "rings", "2": "spots"}
    assert metadata["tta"]["views"] == ["identity"] and metadata["inference"]["image_size"] == 32
    assert metadata["parity"]["images"] == len(dataset.rows("test"))
    assert metadata["parity"]["classes_equal"] == 1 and metadata["parity"]["greatest_difference"]["classifier"] < 1e-4
    train = [row.stratum for row in dataset.rows("train")]
    assert metadata["prevalence"]["rings"] == round(train.count("rings") / len(train), 6)
    assert abs(sum(metadata["prevalence"].values()) - 1) < 1e-5
    assert metadata["warning"].startswith("Not for diagnosis") and metadata["synthetic"] is True
    graph = metadata["network_data_format"]["classifier"]
    model = onnx.load(bundle.folder / graph["file"])
    found = {one.name: [side.dim_value for side in one.type.tensor_type.shape.dim] for one in model.graph.input}
    assert found == {name: entry["shape"] for name, entry in graph["inputs"].items()}
    assert [one.name for one in model.graph.output] == list(graph["outputs"])


def torch_answer(dataset: Dataset, case: str) -> np.ndarray:
    """The task's own path on the picture as evaluation reads it."""
    task = RECIPE.build(dataset.card)
    model = awake(dataset)
    examples = task.examples(dataset, "test")
    batch = examples.load([examples.ids.index(case)], [()], frozenset({"image"}))
    with torch.no_grad():
        return model(batch["image"]).softmax(dim=1)[0].numpy()


def test_the_predictor_says_what_the_model_says(bundle: Bundle, dataset: Dataset) -> None:
    predictor = HVitPredictor.open(bundle)
    tops = set()
    for row in dataset.rows("test"):
        image = np.asarray(dataset.array(row.id, "image"))
        expected = torch_answer(dataset, row.id)
        np.testing.assert_allclose(predictor.vote(image).probability, expected, atol=1e-5)
        answer = predictor.predict(image, "").values
        assert answer["class"] == predictor.settings.classes[expected.argmax()] == next(iter(answer["probability"]))
        tops.add(answer["class"])
    assert len(tops) > 1, "a constant answer would agree by chance"


@pytest.fixture
def graph_of_bundle(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporting takes the graph of `bundle`, whatever the model."""
    graph = (bundle.folder / "classifier.onnx").read_bytes()
    monkeypatch.setattr("components.recipes.hvit.export.write_graph", lambda path, *_: path.write_bytes(graph))


@pytest.mark.usefixtures("graph_of_bundle")
def test_views_are_averaged(bundle: Bundle, dataset: Dataset, tmp_path: Path) -> None:
    several = written(tmp_path / "several", dataset, ["identity", "flip_horizontal"])
    plain = HVitPredictor.open(bundle)
    image = np.asarray(dataset.array(dataset.rows("test")[0].id, "image"))
    mean = (plain.vote(image).probability + plain.vote(image[:, ::-1].copy()).probability) / 2
    np.testing.assert_allclose(several.vote(image).probability, mean, atol=1e-6)
    assert np.abs(mean - plain.vote(image).probability).max() > 1e-4
    scaled = written(tmp_path / "scaled", dataset, VIEWS)
    assert scaled.settings.tta.views == tuple(VIEWS)
    assert np.abs(scaled.vote(image).probability - mean).max() > 1e-5
    np.testing.assert_allclose(scaled.vote(image).probability.sum(), 1, atol=1e-5)


@pytest.mark.usefixtures("graph_of_bundle")
def test_a_graph_of_another_model_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    model = awake(dataset)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    task = RECIPE.build(dataset.card)
    with pytest.raises(ParityError, match="classifier differs from the model"):
        export_model(model, RECIPE.model, task.predict, dataset, Policy(), tmp_path)


def test_the_answer_is_json(bundle: Bundle, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = predict_command(picture, "", bundle.folder, tmp_path / "new/answer.json")
    written = json.loads((tmp_path / "new/answer.json").read_text())
    assert written["image"] == "leaf.png" and written["class"] == told["class"]
    assert set(written["probability"]) == {"healthy", "rings", "spots"}
    assert written["warning"].startswith("Not for diagnosis")
    monkeypatch.chdir(tmp_path)
    assert predict_command(picture, "", bundle.folder)["files"] == {"values": "leaf.json"}


def test_the_answer_may_be_a_picture(bundle: Bundle, picture: Path, tmp_path: Path) -> None:
    told = predict_command(picture, "", bundle.folder, tmp_path / "answer.png")
    shown = np.asarray(Image.open(told["files"]["answer"]))
    assert shown.ndim == 3 and shown.shape[0] > shown.shape[1]


def test_nothing_is_asked_by_text(bundle: Bundle) -> None:
    with pytest.raises(BadInput, match="not asked by text"):
        HVitPredictor.open(bundle).predict(np.zeros((9, 9, 3), np.uint8), "is it sick?")


def test_it_answers_without_torch(bundle: Bundle, picture: Path, tmp_path: Path) -> None:
    names = [str(bundle.folder), str(picture), str(tmp_path / "answer.json")]
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'torchvision', 'timm']));"
        "from pathlib import Path; from pipelines.commands_predict import predict_command as ask;"
        f"bundle, image, out = (Path(name) for name in {names});"
        "print(ask(image, '', bundle, out)['class'])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() in {"healthy", "rings", "spots"}, done.stderr
