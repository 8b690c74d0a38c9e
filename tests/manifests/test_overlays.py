"""Both overlays render, always to the same bytes; images are pinned; no secret is among the values."""

import re

import pytest
import yaml
from rendered import EVERY, OVERLAYS, ROOT, containers, kustomize, objects, of_kind, pods, text, where

CLUSTER_SCOPED = {"Namespace", "PriorityClass", "ClusterTrainingRuntime"}
PINNED = re.compile(r"[a-z0-9./-]+@sha256:[0-9a-f]{64}")
CREDENTIAL = re.compile(
    r"AKIA[0-9A-Z]{16}|-----BEGIN|eyJ[\w-]{10,}\.|(?i:password|secret_?access_?key)\s*[:=]\s*(?!\.\.\.)\S"
)


@pytest.mark.parametrize("name", EVERY)
def test_rendering_is_stable(name: str) -> None:
    assert kustomize(ROOT / name) == text(name)


@pytest.mark.parametrize("name", EVERY)
def test_no_object_is_there_twice(name: str) -> None:
    named = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects(name)]
    assert len(named) == len(set(named))


def test_every_object_has_a_place() -> None:
    placed = {where(one): one["metadata"].get("namespace") for one in objects()}
    assert {name for name, space in placed.items() if space is None} == {
        name for name in placed if name.split("/")[0] in CLUSTER_SCOPED
    }


def test_every_image_is_pinned_by_digest() -> None:
    images = {one["image"] for _, pod in pods() for one in containers(pod)}
    assert len(images) >= 2
    assert [image for image in images if not PINNED.fullmatch(image)] == []


def test_images_are_named_in_one_place() -> None:
    listed = yaml.safe_load((ROOT / "images/kustomization.yaml").read_text(encoding="utf-8"))["images"]
    used = {one["image"].partition("@")[0] for _, pod in pods() for one in containers(pod)}
    assert used <= {image["newName"] for image in listed}


def test_secrets_come_by_reference_alone() -> None:
    assert of_kind("Secret") == []
    files = [file for file in ROOT.rglob("*") if file.is_file() and file.suffix in {".yaml", ".md"}]
    assert [file.name for file in files if CREDENTIAL.search(file.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_namespace_takes_restricted_pods_only(name: str) -> None:
    (namespace,) = of_kind("Namespace", name)
    labels = namespace["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}


def test_the_local_overlay_needs_no_operator() -> None:
    assert {one["apiVersion"].split("/")[0] for one in objects("overlays/local")} <= {
        *("v1", "apps", "networking.k8s.io", "rbac.authorization.k8s.io", "scheduling.k8s.io")
    }


def test_every_file_is_used() -> None:
    """A manifest that no kustomization lists would be reviewed, and never applied."""
    listed = set()
    for file in ROOT.rglob("kustomization.yaml"):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        listed |= {(file.parent / name).resolve() for name in content.get("resources", [])}
    unlisted = {file for file in ROOT.rglob("*.yaml") if file.resolve() not in listed} - set(
        ROOT.rglob("kustomization.yaml")
    )
    # rules.yaml is for a Prometheus without the operator, and for promtool.
    assert {str(file.relative_to(ROOT)) for file in unlisted} <= {"policy.yaml", "base/monitoring/rules.yaml"}
