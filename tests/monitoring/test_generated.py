"""The committed files are what the code makes, and what Grafana, kustomize and the operator read."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from pipelines.cli import main
from pipelines.monitoring.boards import BOARDS
from pipelines.monitoring.files import files, write

FOLDER = Path(__file__).parents[2] / "manifests/base/monitoring"
KUBECTL = Path(sys.executable).with_name("kubectl")
BOARD_IDS = [board.uid for board in BOARDS]


def test_the_committed_files_are_what_the_code_makes() -> None:
    committed = {file.relative_to(FOLDER) for file in FOLDER.rglob("*") if file.is_file()}
    assert committed == set(files())
    differing = [name for name, text in files().items() if (FOLDER / name).read_text(encoding="utf-8") != text]
    assert differing == [], "run `make dashboards`"


def test_writing_mends_and_removes(tmp_path: Path) -> None:
    write(tmp_path)
    assert write(tmp_path) == []
    old = tmp_path / "dashboards/thaw-former.json"
    old.write_text("{}")
    (tmp_path / "rules.yaml").write_text("groups: []\n")
    assert set(write(tmp_path)) == {tmp_path / "rules.yaml", old}
    assert not old.exists()


def test_the_command_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitoring", "write", "--out", str(tmp_path)]) == 0
    assert f"{len(files())} files changed" in capsys.readouterr().out
    assert (tmp_path / "rules.yaml").exists()


@pytest.mark.parametrize("uid", BOARD_IDS)
def test_a_dashboard_survives_being_read(uid: str) -> None:
    register_default_plugins()
    text = (FOLDER / f"dashboards/{uid}.json").read_text(encoding="utf-8")
    board = Dashboard.from_json(json.loads(text))
    assert JSONEncoder(sort_keys=True, indent=1).encode(board) + "\n" == text
    assert board.uid == uid
    assert board.panels


@pytest.mark.parametrize("uid", BOARD_IDS)
def test_a_dashboard_has_every_panel_in_a_place_of_its_own(uid: str) -> None:
    board = json.loads((FOLDER / f"dashboards/{uid}.json").read_text(encoding="utf-8"))
    (values,) = [one for one in BOARDS if one.uid == uid]
    assert [panel["title"] for panel in board["panels"]] == [panel.title for panel in values.panels]
    cells = [
        (x, y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} <= set(range(24))
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert asked == [query.expression for panel in values.panels for query in panel.queries]


def test_every_variable_of_an_expression_is_offered() -> None:
    for uid in BOARD_IDS:
        text = (FOLDER / f"dashboards/{uid}.json").read_text(encoding="utf-8")
        offered = {variable["name"] for variable in json.loads(text)["templating"]["list"]}
        assert offered == {"source", "pipeline", "stage", "fold", "seed"}


def test_kustomize_makes_one_labelled_map_per_dashboard() -> None:
    done = subprocess.run([KUBECTL, "kustomize", FOLDER], check=True, capture_output=True, text=True)
    resources = list(yaml.safe_load_all(done.stdout))
    maps = [one for one in resources if one["kind"] == "ConfigMap"]
    assert {name for one in maps for name in one["data"]} == {f"{uid}.json" for uid in BOARD_IDS}
    assert all(one["metadata"]["labels"] == {"grafana_dashboard": "1"} for one in maps)
    (rule,) = [one for one in resources if one["kind"] == "PrometheusRule"]
    assert rule["spec"] == yaml.safe_load((FOLDER / "rules.yaml").read_text(encoding="utf-8"))
