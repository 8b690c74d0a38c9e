"""The stage on a tiny model: what is written, that it says what the model says, and that it refuses what differs."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from bundles import EVERY_BRANCH, PROMPT, SEED, Project, awaken, config, recipe
from torch import nn

from components.core.errors import BadInput
from components.core.export.bundle import Bundle
from components.core.export.parity import ParityError
from components.core.models import clip, sam
from components.core.models.clip_config import LocalClip
from components.core.models.sam_config import CheckpointSam
from components.export.stage import STAGE, Outputs
from components.export.values import Export
from components.recipes.freqmedclip import export as recipe_export
from components.recipes.freqmedclip.data import prompts_of, samples
from components.recipes.freqmedclip.predictor import FreqMedClipPredictor
from components.recipes.freqmedclip.recipe import FreqMedClip
from components.recipes.freqmedclip.task import FreqMedClipTask

ROOT = Path(__file__).resolve().parents[2]


def test_the_bundle_is_whole(shipped: Bundle) -> None:
    names = {path.name for path in shipped.folder.iterdir()}
    assert names == {
        "metadata.json",
        "recipe.json",
        "weights.safetensors",
        "prompts.safetensors",
        "saliency.onnx",
        "sam_encoder.onnx",
        "sam_decoder.onnx",
    }
    assert set(shipped.metadata["files"]) == names - {"metadata.json"}


def test_the_metadata_tells_what_a_reader_must_know(shipped: Bundle, project: Project) -> None:
    metadata = shipped.metadata
    assert metadata["warning"].startswith("Not for diagnosis")
    assert metadata["spacing"] == "pixel"
    assert metadata["synthetic"] is False
    assert metadata["data_digest"] == project.dataset.digest
    assert metadata["decision"] == {"mask": "mean"}
    assert metadata["tta"]["views"] == ["identity", "flip_horizontal"]
    assert metadata["prompts"] == [{"text": PROMPT, "value": 1, "row": 0}]
    assert metadata["eval_metrics"]["metrics"]["dice"]["mean"] == 0.5
    assert metadata["eval_metrics"]["metrics"]["dice"]["sd"] is None
    assert metadata["parity"]["masks_equal"] >= 0.999
    assert metadata["parity"]["images"] == len(project.dataset.rows("test"))
    assert set(metadata["parity"]["greatest_difference"]) == {"saliency", "sam_encoder", "sam_decoder"}
    assert metadata["required_packages_version"]["torch"] == torch.__version__.partition("+")[0]
    assert metadata["changelog"][metadata["version"]]


def test_declared_inputs_are_those_of_the_graphs(shipped: Bundle) -> None:
    for graph in shipped.metadata["network_data_format"].values():
        model = onnx.load(shipped.folder / graph["file"])
        found = {one.name: [side.dim_value for side in one.type.tensor_type.shape.dim] for one in model.graph.input}
        assert found == {name: entry["shape"] for name, entry in graph["inputs"].items()}
        assert [one.name for one in model.graph.output] == list(graph["outputs"])


def test_graphs_name_no_file_of_the_machine(shipped: Bundle) -> None:
    for path in shipped.folder.glob("*.onnx"):
        data = path.read_bytes()
        assert b".py" not in data
        assert str(ROOT).encode() not in data


def torch_mask(project: Project, case: str, text: str, views: list[str]) -> np.ndarray[Any, Any]:
    """The task's own path on the model of `shipped`, views by torch.flip."""
    task = recipe(**EVERY_BRANCH).build(project.dataset.card)
    model = task.build_model(SEED)
    awaken(model)
    model.eval()
    examples = task.examples(project.dataset, "test")
    row = examples.ids.index(case)
    batch = examples.load([row], [()], frozenset({"image", "sam_image"}))
    total = torch.zeros(48, 48)
    with torch.no_grad():
        prompt = model.clip.text(model.clip.tokenise([text]))
        for view in views:
            flip = (lambda x: x.flip(-1)) if view == "flip_horizontal" else (lambda x: x)
            features = {"prompt": prompt, "sam:embedding": model.sam.embed(flip(batch["sam_image"]))}
            total += flip(task.predict(model, {"image": flip(batch["image"])}, features)["mean"][0])
        height, width = project.dataset.array(case, "mask").shape
        native = nn.functional.interpolate((total / len(views))[None, None], (height, width), mode="bilinear")
    return (native[0, 0] >= 0.5).numpy()


def test_the_predictor_gives_the_masks_of_the_torch_path(shipped: Bundle, project: Project) -> None:
    dataset = project.dataset
    predictor = FreqMedClipPredictor.open(shipped, recipe().model)
    equal = pixels = marked = 0
    for sample in samples(dataset.rows("test"), prompts_of(dataset)):
        image = np.asarray(dataset.array(sample.case_id, "image"))
        found = predictor.predict(image, sample.prompt).pictures["mask"] > 0
        expected = torch_mask(project, sample.case_id, sample.prompt, ["identity", "flip_horizontal"])
        equal, pixels, marked = equal + int((found == expected).sum()), pixels + found.size, marked + int(found.sum())
    assert equal / pixels >= 0.999
    assert 0 < marked < pixels, "a mask that is empty or full would agree by chance"


def test_views_change_the_answer(shipped: Bundle, project: Project) -> None:
    """Otherwise the test above says nothing about views."""
    case = project.dataset.rows("test")[0].id
    image = np.asarray(project.dataset.array(case, "image"))
    predictor = FreqMedClipPredictor.open(shipped, recipe().model)
    text = predictor.prompts.embed(PROMPT)
    both = predictor.probability(image, text)
    settings = predictor.settings.model_copy(update={"tta": Export().tta})
    plain = FreqMedClipPredictor(settings, predictor.prompts, predictor._graphs).probability(image, text)
    assert np.abs(both - plain).max() > 1e-3


def test_a_new_prompt_is_embedded_by_the_bundles_own_text_tower(project: Project, shipped: Bundle) -> None:
    chosen = recipe()
    predictor = FreqMedClipPredictor.open(shipped, chosen.model)
    model = chosen.build(project.dataset.card).build_model(SEED).eval()
    other = "a bright mass with spikes"
    with torch.no_grad():
        expected = model.clip.text(model.clip.tokenise([other]))[0].numpy()
    np.testing.assert_allclose(predictor.prompts.embed(other), expected, atol=1e-6)
    assert np.abs(predictor.prompts.embed(PROMPT) - expected).max() > 1e-3


def test_a_known_prompt_needs_no_torch(shipped: Bundle, project: Project) -> None:
    image = next((project.folder / "raw" / "images").glob("*.png"))
    names = [str(shipped.folder), str(image), str(project.folder / "answer.png")]
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'torchvision', 'open_clip', 'timm']));"
        "from pathlib import Path; from pipelines.commands_predict import predict_command as ask;"
        f"bundle, image, out = (Path(name) for name in {names});"
        "print(ask(image, '', bundle, out)['mask']);"
        "ask(image, 'something new', bundle, out)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("mean"), done.stderr
    assert "a new prompt needs torch" in done.stderr


def test_only_the_saliency_graph_where_no_mask_of_sam_is_shipped(plain: Bundle) -> None:
    assert [path.name for path in plain.folder.glob("*.onnx")] == ["saliency.onnx"]
    found = FreqMedClipPredictor.open(plain, recipe().model).predict(np.full((30, 50, 3), 90, np.uint8), "")
    assert found.pictures["mask"].shape == (30, 50)


@pytest.fixture
def graphs_of_plain(plain: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporting takes the graph of `plain`, whatever the model."""

    def write_graph(path: Path, *_: object) -> None:
        shutil.copyfile(plain.folder / path.name, path)

    monkeypatch.setattr(recipe_export, "write_graph", write_graph)


@pytest.mark.usefixtures("graphs_of_plain")
def test_graphs_of_the_same_model_pass(project: Project, tmp_path: Path) -> None:
    STAGE.run(config(recipe()), project.train(recipe(), "saliency"), Outputs(tmp_path / "bundle"))
    assert (tmp_path / "bundle" / "metadata.json").exists()


@pytest.mark.usefixtures("graphs_of_plain")
def test_a_graph_that_differs_is_refused_and_nothing_is_left(project: Project, tmp_path: Path) -> None:
    inputs = project.train(recipe(), "saliency", bias=1e-2)
    with pytest.raises(ParityError, match="saliency differs from the model by"):
        STAGE.run(config(recipe()), inputs, Outputs(tmp_path / "bundle"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("graphs_of_plain")
def test_a_path_that_differs_is_refused(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs that agree are not enough: what lies around them must agree with the task, too."""
    inputs = project.train(recipe(), "saliency")
    monkeypatch.setattr(clip, "normalise", lambda image: image)
    with pytest.raises(ParityError, match="masks agree on"):
        STAGE.run(config(recipe()), inputs, Outputs(tmp_path / "bundle"))
    assert list(tmp_path.iterdir()) == []


def test_inputs_that_do_not_belong_together_are_refused(project: Project, tmp_path: Path) -> None:
    inputs = project.train(recipe(), "saliency")
    other = config(recipe()).model_copy(update={"seed": SEED + 1})
    with pytest.raises(BadInput, match="trained with seed 3"):
        STAGE.run(other, inputs, Outputs(tmp_path / "bundle"))
    empty = tmp_path / "metrics.json"
    empty.write_text("{}", encoding="utf-8")
    with pytest.raises(BadInput, match="does not tell the scores"):
        STAGE.run(config(recipe()), type(inputs)(inputs.dataset, inputs.weights, empty), Outputs(tmp_path / "bundle"))


def test_a_model_of_another_recipe_is_refused(project: Project, tmp_path: Path) -> None:
    inputs = project.train(recipe(), "saliency")
    for other, key in ((recipe(alpha=0.2), "model.alpha"), (recipe(injection={"kind": "early", "block": 0}), "block")):
        with pytest.raises(BadInput, match="other values of the recipe") as caught:
            STAGE.run(config(other), inputs, Outputs(tmp_path / "bundle"))
        assert key in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_of_another_model_is_refused(project: Project, tmp_path: Path) -> None:
    inputs = project.train(recipe(), "saliency")
    judged = json.loads(inputs.evaluation.read_text(encoding="utf-8"))
    other = tmp_path / "metrics.json"
    other.write_text(json.dumps({**judged, "models": {"end_to_end": "0" * 64}}), encoding="utf-8")
    with pytest.raises(BadInput, match="judged another model"):
        STAGE.run(config(recipe()), replace(inputs, evaluation=other), Outputs(tmp_path / "bundle"))
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_carries_no_path_of_the_machine(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pretrained weights come from files; elsewhere, and after they have moved, only their names say something."""
    own = recipe().model
    monkeypatch.setattr(LocalClip, "build", lambda _, size: own.clip.build(size))
    monkeypatch.setattr(CheckpointSam, "build", lambda _: own.sam.build())
    monkeypatch.setattr(FreqMedClipTask, "export", lambda *_: {"prompts": []})

    def stored(below: str) -> FreqMedClip:
        clip_at = {"kind": "local", "folder": tmp_path / below / "biomedclip"}
        return recipe(clip=clip_at, sam={"kind": "checkpoint", "file": tmp_path / below / "sam.pth"})

    inputs = project.train(stored("before"), "saliency")
    STAGE.run(config(stored("moved")), inputs, Outputs(tmp_path / "bundle"))
    bundle = Bundle.open(tmp_path / "bundle")
    assert bundle.recipe["model"]["sam"]["file"] == "sam.pth"
    assert bundle.recipe["model"]["clip"] == {"kind": "local", "folder": "biomedclip", "weights": None}
    FreqMedClip.model_validate(dict(bundle.recipe))
    for name in ("recipe.json", "metadata.json"):
        assert str(tmp_path) not in (bundle.folder / name).read_text(encoding="utf-8")


def test_sam_is_fed_as_it_was_trained() -> None:
    """The graph takes [0, 1]; SAM's own mean and deviation are of 255."""
    white = sam.normalise(torch.ones(1, 3, 2, 2))
    assert float(white[0, 0, 0, 0]) == pytest.approx((255 - 123.675) / 58.395)
