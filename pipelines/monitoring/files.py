"""The generated files of manifests/base/monitoring: committed, so that a cluster needs none of this code."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from pipelines.monitoring.boards import BOARDS
from pipelines.monitoring.expression import Clock
from pipelines.monitoring.grafana import dashboard_json
from pipelines.monitoring.rules import NOTE, prometheus_rule, rules_file

FOLDER = Path("manifests/base/monitoring")
DASHBOARDS = "dashboards"


def files() -> Mapping[Path, str]:
    """Text of every generated file, by its path below the folder."""
    boards = {Path(DASHBOARDS) / f"{board.uid}.json": dashboard_json(board) for board in BOARDS}
    return {
        Path("prometheus-rule.yaml"): prometheus_rule(),
        Path("rules.yaml"): rules_file(Clock()),
        Path("kustomization.yaml"): _kustomization(sorted(boards)),
        **boards,
    }


def write(folder: Path) -> list[Path]:
    """Write every file whose text differs, and remove dashboards that are no more.

    Returns:
        The files that were written or removed.
    """
    made = {folder / name: text for name, text in files().items()}
    gone = sorted(set((folder / DASHBOARDS).glob("*.json")) - set(made))
    stale = [file for file, text in made.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    for file in stale:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(made[file], encoding="utf-8")
    for file in gone:
        file.unlink()
    return [*stale, *gone]


def _kustomization(boards: list[Path]) -> str:
    """One ConfigMap per dashboard: together they might pass the size that the API server takes."""
    maps = [{"name": f"dashboard-{board.stem}", "files": [str(board)]} for board in boards]
    # Grafana's sidecar looks for the label; nothing refers to the maps by name, so names need no hash.
    options = {"labels": {"grafana_dashboard": "1"}, "disableNameSuffixHash": True}
    resource = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["prometheus-rule.yaml"],
        "configMapGenerator": maps,
        "generatorOptions": options,
    }
    return NOTE + yaml.safe_dump(resource, sort_keys=False)
