"""The manifests as kubectl renders them, and what tests ask of them."""

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2] / "manifests"

KUBECTL = Path(sys.executable).with_name("kubectl")
"""The locked one, a wheel: what a machine happens to have may be too old for kustomize's components."""

OVERLAYS = ("overlays/local", "overlays/cluster")
"""What an installation applies."""

EVERY = (*OVERLAYS, "jobs/train", "jobs/tune", "serve", "argo")

Object = dict[str, Any]


@cache
def text(name: str) -> str:
    """A kustomization as YAML."""
    return kustomize(ROOT / name)


def kustomize(folder: Path) -> str:
    """What kubectl makes of a kustomization."""
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "kustomize warns"
    return done.stdout


def objects(*names: str) -> list[Object]:
    """The objects of some kustomizations; of all of them where none is named."""
    return [one for name in names or EVERY for one in yaml.safe_load_all(text(name))]


def of_kind(kind: str, *names: str) -> list[Object]:
    """Those of a kind."""
    return [one for one in objects(*names) if one["kind"] == kind]


def where(one: Object) -> str:
    """How a finding is named."""
    return f"{one['kind']}/{one['metadata']['name']}"


def pods(*names: str) -> Iterator[tuple[str, Object]]:
    """Every pod template, wherever it is nested, with the name of its object: `metadata` and `spec` of pods."""
    for one in objects(*names):
        yield from ((where(one), pod) for pod in _templates(one))


def _templates(value: Any) -> Iterator[Object]:
    if isinstance(value, dict):
        spec = value.get("spec")
        if isinstance(spec, dict) and "containers" in spec:
            yield value
        for inner in value.values():
            yield from _templates(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _templates(inner)


def containers(pod: Object) -> list[Object]:
    """All containers of a pod, those that run first included."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def selects(selector: Object, labels: Object) -> bool:
    """Does a label selector match these labels?"""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for term in selector.get("matchExpressions", []):
        assert term["operator"] == "Exists", "the one operator in use"
        if term["key"] not in labels:
            return False
    return True
