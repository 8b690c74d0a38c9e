"""The containers of the plain Argo workflow, run in the order of its edges, make what the command line makes."""

from pathlib import Path

import pytest
import yaml

from tests.doors.conftest import QUICK, Door, place
from tests.doors.test_doors_agree import COMPARED, assert_same, stage_output
from tests.pipelines.argo_harness import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

IMAGE = "registry.example/thaw@sha256:" + "a" * 64


@pytest.fixture(scope="session")
def workflow(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    made = place(tmp_path_factory.mktemp("argo") / "here", project)
    # Pods share the cache's volume, as the other doors share its folder: what is evaluated in other batches may differ
    # in the last digit.
    cache = f"runtime.cache.dir={made.folder / 'cache'}"
    words = ("--size", "tiny", "--image", IMAGE, "--output", "workflow.yaml", "--set", cache)
    written = made.call("pipelines", "pipeline", "argo", QUICK, *words)
    assert written.returncode == 0, written.stderr
    document = yaml.safe_load((made.folder / "workflow.yaml").read_text(encoding="utf-8"))
    cluster = Cluster(document, made.folder / "pods", made.variables)
    assert cluster.run() == "Succeeded"
    return cluster


@pytest.mark.parametrize(("stage", "port"), [(stage, port) for recipe, stage, port in COMPARED if recipe == QUICK])
def test_the_workflow_makes_the_same(workflow: Cluster, command_line: Door, stage: str, port: str) -> None:
    made = workflow.made[stage.replace("_", "-")][port]
    assert_same(made, stage_output(command_line(QUICK).folder / "out", stage, port))
