"""`--preset` lays a named section of a params file over the chosen size, at every door alike."""

from pathlib import Path

import pytest
import yaml

from components import stages
from components.cli.values import PARAMS, configure, resolve, size_of
from components.core.config import presets, read_params, sizes
from components.core.errors import BadInput
from pipelines import cli
from pipelines.cli import main


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The shipped params with presets of their own."""
    document = yaml.safe_load((PARAMS / "freqmedclip.yaml").read_text(encoding="utf-8"))
    document["presets"] = {
        "small": {"end_to_end": {"batch_size": 2, "weight_decay": 0.05}},
        "large": {"end_to_end": {"batch_size": 64}, "evaluate": {"draws": 123}},
    }
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def test_a_preset_lies_over_the_size_and_under_what_is_set(file: Path) -> None:
    plain = read_params(file, "demo")
    small = read_params(file, "demo", preset="small")
    assert small["end_to_end"] == {**plain["end_to_end"], "batch_size": 2, "weight_decay": 0.05}
    assert {key: small[key] for key in plain if key != "end_to_end"} == {
        key: plain[key] for key in plain if key != "end_to_end"
    }
    assert read_params(file, "demo", ["end_to_end.batch_size=7"], "small")["end_to_end"]["batch_size"] == 7


def test_presets_are_no_size_and_no_section(file: Path) -> None:
    assert sizes(file) == ["demo", "full", "tiny"]
    assert presets(file) == ["large", "small"]
    assert "presets" not in read_params(file, "tiny")
    with pytest.raises(BadInput, match="no size 'presets'"):
        read_params(file, "presets")
    values = read_params(file, "tiny", preset="large")
    for stage in stages.NAMES:
        configure(stages.load(stage), values, "test")


def test_a_file_without_sizes_may_have_presets(tmp_path: Path) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text("a: {b: 1, c: 2}\npresets: {x: {a: {b: 3}}}\n", encoding="utf-8")
    assert read_params(path) == {"a": {"b": 1, "c": 2}}
    assert read_params(path, preset="x") == {"a": {"b": 3, "c": 2}}
    assert sizes(path) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--preset", "huge"], ["no preset 'huge'", "['large', 'small']"]),
        (["--preset", "small", "--values", "{}"], ["resolved values have no presets", "--preset"]),
    ],
)
def test_what_is_no_preset_is_told(
    file: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: list[str]
) -> None:
    assert main(["params", "freqmedclip", "--params", str(file), "--size", "tiny", *words]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in told), said


def test_a_file_without_presets_says_so(tmp_path: Path) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text("a: 1\n", encoding="utf-8")
    with pytest.raises(BadInput, match="no preset 'small'") as error:
        read_params(path, preset="small")
    assert "has no presets" in error.value.remedy


@pytest.mark.parametrize("section", ["[small]", "{small: 3}"])
def test_presets_must_be_named_sections(tmp_path: Path, section: str) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text(f"a: 1\npresets: {section}\n", encoding="utf-8")
    with pytest.raises(BadInput, match="named sections"):
        read_params(path)


DOORS = {
    "params": ["params", "freqmedclip"],
    "run": ["run", "freqmedclip", "--out", "out"],
    "stage": ["prepare", "freqmedclip", "--dataset", "out"],
    "compile": ["pipeline", "compile", "freqmedclip", "--image", "a@sha256:b", "--output", "out"],
    "pipeline run": ["pipeline", "run", "freqmedclip", "--root", "out"],
    "doctor": ["doctor", "freqmedclip"],
    "crossvalidate": ["crossvalidate", "freqmedclip", "--out", "out"],
    "study": ["study", "freqmedclip", "--out", "out"],
    "benchmark": ["benchmark", "cache", "freqmedclip"],
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_takes_presets(door: str, file: Path) -> None:
    top, commands = cli.parser("thaw")
    cli.mount(commands)
    arguments = top.parse_args([*DOORS[door], "--params", str(file), "--size", "tiny", "--preset", "large"])
    values, source = resolve(arguments)
    assert values["end_to_end"]["batch_size"] == 64
    assert source.endswith("size tiny, preset large"), "an error message should tell"
    assert size_of(arguments) == "mine.yaml, tiny, preset large", "results should tell"
