"""A bundle carries the scores of what it answers: the same views were judged, or nothing is exported."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bundles import VIEWS, Project, config, recipe

from components.core.errors import BadInput
from components.core.export.bundle import Bundle
from components.export.stage import STAGE, Outputs


def test_scores_are_those_of_the_views_that_are_averaged(shipped: Bundle, plain: Bundle) -> None:
    averaged, single = shipped.metadata["eval_metrics"], plain.metadata["eval_metrics"]
    assert (averaged["system"], averaged["views"]) == ("end_to_end (tta)", VIEWS)
    assert averaged["metrics"]["dice"]["mean"] == 0.5
    assert (single["system"], single["views"]) == ("end_to_end", ["identity"])
    assert single["metrics"]["dice"]["mean"] == 0.25


@pytest.mark.parametrize(
    ("judged", "said"),
    [({}, "without test-time augmentation"), ({"end_to_end (tta)": ["identity", "transpose"]}, "identity, transpose")],
)
def test_views_that_were_never_judged_are_refused(
    judged: dict[str, list[str]], said: str, project: Project, tmp_path: Path
) -> None:
    inputs = project.train(recipe(), "saliency")
    evaluation = json.loads(inputs.evaluation.read_text(encoding="utf-8"))
    other = tmp_path / "metrics.json"
    other.write_text(json.dumps({**evaluation, "views": judged}), encoding="utf-8")
    with pytest.raises(BadInput, match=said) as caught:
        STAGE.run(
            config(recipe(), tta={"views": VIEWS}), replace(inputs, evaluation=other), Outputs(tmp_path / "bundle")
        )
    assert "evaluate.tta.views: [identity, flip_horizontal]" in str(caught.value)
    assert not (tmp_path / "bundle").exists()
