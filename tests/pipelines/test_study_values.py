"""A study file says what is wrong with it, and which names there are."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components import stages
from components.cli.values import PARAMS, configure, recipes
from components.core.config import read_params, sizes
from components.core.errors import BadInput
from pipelines.local import Run
from pipelines.study.plan import plan
from pipelines.study.values import STUDIES, default_study, read_study

GOOD: dict[str, Any] = {
    "about": "does it help?",
    "shared": {"evaluate": {"baselines": False}},
    "variants": {"reference": None, "plain": {"warmup": {"ema": None}}},
    "measures": [{"name": "averaging", "of": "reference/end_to_end", "against": "plain/end_to_end"}],
}
MEASURE = GOOD["measures"][0]


def written(folder: Path, **changes: Any) -> Path:
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump({**GOOD, **changes}), encoding="utf-8")
    return file


def test_a_good_one_is_read(tmp_path: Path) -> None:
    study = read_study(written(tmp_path))
    assert study.variants == {"reference": {}, "plain": {"warmup": {"ema": None}}}
    assert study.measures[0].sides == (("reference", "end_to_end"), ("plain", "end_to_end"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"variant": {}}, ["variant", "unknown key; did you mean 'variants'?"]),
        ({"variants": {}}, ["variants"]),
        ({"variants": {"../up": {}}}, ["cannot name folders"]),
        ({"variants": {"a": 3}}, ["variants.a"]),
        ({"variants": {"a": {"without": "warmup"}}}, ["list of dotted keys"]),
        (
            {"measures": [{**MEASURE, "of": "refrence/end_to_end"}]},
            ["no variant 'refrence'", "did you mean 'reference'?", "measures.0 (averaging).of"],
        ),
        ({"measures": [{**MEASURE, "against": "plain"}]}, ["'plain' does not say which", "plain/end_to_end"]),
        ({"measures": [{**MEASURE, "stage": "warm"}]}, ["no stage 'warm'", "did you mean 'warmup'?"]),
        ({"measures": [{**MEASURE, "stage": "warmup"}]}, ["warmup has no systems", "write reference"]),
        ({"measures": [{**MEASURE, "of": "plain", "against": "plain", "stage": "warmup"}]}, ["no headline", "metric"]),
        ({"measures": [MEASURE, MEASURE]}, ["two measures are called 'averaging'"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(BadInput) as error:
        read_study(written(tmp_path, **changes))
    said = str(error.value)
    assert "study.yaml" in said
    assert [part for part in told if part not in said] == [], said


@pytest.mark.parametrize("text", ["- a list", "a: [", ""])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput):
        read_study(file)
    with pytest.raises(BadInput, match="no study file"):
        read_study(tmp_path / "missing.yaml")


def test_a_variant_stops_where_nothing_more_is_asked_of_it(tmp_path: Path) -> None:
    early = {"name": "probe", "of": "plain", "against": "third", "stage": "warmup", "metric": "probe.after"}
    variants = {"reference": {}, "plain": {}, "third": {}, "unasked": {}}
    study = read_study(written(tmp_path, variants=variants, measures=[MEASURE, early]))
    assert {name: study.until(name) for name in variants} == {
        "reference": "evaluate",
        "plain": "evaluate",
        "third": "warmup",
        "unasked": "evaluate",
    }


def test_a_recipe_without_a_study_says_which_have_one() -> None:
    with pytest.raises(BadInput, match="no study of 'nothing'") as error:
        default_study("nothing")
    assert "--study FILE" in error.value.remedy


SHIPPED = sorted(file.stem for file in STUDIES.glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_study_fits_its_recipe_at_every_size(name: str, tmp_path: Path) -> None:
    study = read_study(default_study(name))
    if name not in recipes():
        pytest.skip(f"there are no params of {name}")
    for size in sizes(PARAMS / f"{name}.yaml"):
        values = read_params(PARAMS / f"{name}.yaml", size)
        runs = plan(study, Run(name, size, values, f"{name}, {size}", None, tmp_path), [0], workers=1)
        for one in runs:
            for stage in stages.NAMES:
                configure(stages.load(stage), dict(one.run.values), one.run.source)
