"""What the images hold, what they do not, and that they work where nothing but /tmp can be written."""

import json
import subprocess
from collections.abc import Callable, Mapping

import pytest

from components.core.digest import digest_code
from tests.containers.conftest import CANARY

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

KINDS = ["cpu", "gpu"]
PROGRAMS = ("gcc", "cc", "g++", "c++", "clang", "ld", "as", "make", "nvcc", "ptxas", "git", "dvc", "uv")
MODULES = ("kfp", "dvc", "git", "pygit2", "moto", "pytest", "triton", "tests")
LOOK = f"""
import importlib.util, json, os, pathlib, shutil
root = pathlib.Path("/opt/thaw")
files = [file for file in root.rglob("*") if file.is_file()]
print(json.dumps({{
    "programs": [name for name in {PROGRAMS!r} if shutil.which(name)],
    "modules": [name for name in {MODULES!r} if importlib.util.find_spec(name)],
    "assemblers": [str(file) for file in files if file.name in ("ptxas", "nvcc", "cicc")],
    "ours": sorted({{line.split("/")[0] for line in
        next(root.glob("lib/*/site-packages/thaw-*.dist-info/RECORD")).read_text().splitlines()}}),
    "secrets": [name for name in os.environ if "SECRET" in name or "TOKEN" in name or "KEY" in name],
    "user": os.getuid(),
}}))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_holds_the_code_and_no_tools(inside: Callable[..., str], kind: str) -> None:
    found = json.loads(inside(kind, "python", "-c", LOOK))
    assert {name: found[name] for name in ("programs", "modules", "assemblers", "secrets")} == {
        "programs": [],
        "modules": [],
        "assemblers": [],
        "secrets": [],
    }
    assert [name for name in found["ours"] if not name.startswith("thaw-")] == ["..", "components", "pipelines"]
    assert found["user"] == 65532


def test_the_cpu_image_holds_no_torch(inside: Callable[..., str]) -> None:
    assert inside("cpu", "python", "-c", "import importlib.util as u; print(u.find_spec('torch'))").strip() == "None"


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_s_code_is_this_code(inside: Callable[..., str], kind: str) -> None:
    """Else a stage of the command line would be another one in a container, and nothing would be found again."""
    asked = "from components.core.digest import digest_code; print(digest_code())"
    assert inside(kind, "python", "-c", asked).strip() == digest_code()


@pytest.mark.parametrize("kind", KINDS)
def test_labels_and_history(images: Mapping[str, str], client: str, kind: str) -> None:
    def ask(*command: str) -> str:
        return subprocess.run([client, *command], capture_output=True, text=True, check=True).stdout

    (about,) = json.loads(ask("image", "inspect", images[kind]))
    labels = about["Config"]["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.version"] and labels["org.opencontainers.image.revision"]
    assert about["Config"]["User"] == "65532:65532"
    history = ask("history", "--no-trunc", "--format", "{{.CreatedBy}}", images[kind])
    assert CANARY not in history + json.dumps(about)
    assert "/run/secrets" not in history, "certificates belong to the stages that are left behind"


def test_prepare_runs_hardened(inside: Callable[..., str]) -> None:
    said = inside(
        "cpu", "python", "-m", "components", "prepare", "freqmedclip", "--size", "tiny", "--dataset", "/tmp/d"
    )
    assert "cases_train" in said


def test_the_doctor_runs_hardened(inside: Callable[..., str]) -> None:
    assert "end_to_end" in inside("gpu", "thaw", "doctor", "freqmedclip", "--size", "tiny")
