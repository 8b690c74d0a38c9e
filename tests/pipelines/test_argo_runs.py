"""The Argo workflow, run by a harness that reads it as the controller does: order, branches, failures."""

import json
import os
import textwrap
from pathlib import Path

from components.outcome.command import succeeded
from pipelines.plan import Plan, make_plan
from pipelines.wiring import NODES
from tests.pipelines.argo_harness import Cluster
from tests.pipelines.argo_toys import PARAMS, plan, spelled

STAGE = """
    import json, pathlib, sys
    stage, recipe, *options = sys.argv[1:]
    told = dict(zip(options[::2], options[1::2]))
    if stage == "outcome":
        sys.exit(pathlib.Path("../outcome.json").write_text(json.dumps(told)) and 0)
    read = {flag: path for flag, path in told.items() if "/inputs/" in path}
    assert all(pathlib.Path(path).exists() for path in read.values()), read
    if json.loads(told["--values"]).get("fail") == stage:
        sys.exit(2)
    for flag, path in told.items():
        if "/outputs/" in path:
            pathlib.Path(path).write_text(json.dumps({"stage": stage, "told": told}))
"""


def run(folder: Path, made: Plan) -> tuple[Cluster, str]:
    package = folder / "image" / "components"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(textwrap.dedent(STAGE))
    variables = {**os.environ, "PYTHONPATH": str(package.parent)}
    cluster = Cluster(spelled(folder, made, raw="/data"), folder / "pods", variables)
    return cluster, cluster.run()


def test_it_runs_in_the_order_of_its_edges(tmp_path: Path) -> None:
    cluster, status = run(tmp_path, plan())
    assert status == "Succeeded"
    assert cluster.order == [*(node.stage.replace("_", "-") for node in NODES), "exit"]
    told = json.loads(cluster.made["prepare"]["dataset"].read_text())["told"]
    assert (told["--raw"], told["--fold"]) == ("/data", "")
    outcome = json.loads((tmp_path / "pods" / "outcome.json").read_text())
    assert outcome["--pushgateway"] == "gateway:9091"
    assert succeeded(outcome["--status"])


def test_it_branches_into_folds_and_seeds(tmp_path: Path) -> None:
    cluster, status = run(tmp_path, plan(folds=3, seeds=[3, 8]))
    assert status == "Succeeded"
    assert {place for place in cluster.made if place.endswith("prepare")} == {
        f"folds-{fold}/prepare" for fold in range(3)
    }
    told = json.loads(cluster.made["folds-1/seeds-0/export"]["bundle"].read_text())["told"]
    assert (told["--fold"], told["--seed"]) == ("1/3", "3")
    assert len([place for place in cluster.made if place.endswith("export")]) == 6


def test_a_failure_is_told(tmp_path: Path) -> None:
    failing = make_plan("toy", {**PARAMS, "fail": "warmup"}, narrow=lambda _, values: values)
    cluster, status = run(tmp_path, failing)
    assert status == "Failed"
    assert "partial-unfreeze" not in cluster.order
    assert not succeeded(json.loads((tmp_path / "pods" / "outcome.json").read_text())["--status"])
