"""Write what policy checks read: every rendered manifest, and the pods inside of custom resources as pods."""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "manifests"))

from rendered import EVERY, objects, pods  # noqa: E402  the tests' reader of manifests is this script's too

CUSTOM = ("ClusterTrainingRuntime/", "Experiment/")
"""Objects whose pods a policy checker does not find by itself."""


def main(folder: Path) -> None:
    """Write one file per kustomization, and one of pods."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in EVERY:
        file = folder / f"{name.replace('/', '-')}.yaml"
        file.write_text(yaml.safe_dump_all(objects(name), sort_keys=True), encoding="utf-8")
    found = {name: pod for name, pod in pods() if name.startswith(CUSTOM)}
    bare = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**pod["metadata"], "name": name.lower().replace("/", "-"), "namespace": "thaw"},
            "spec": pod["spec"],
        }
        for name, pod in found.items()
    ]
    (folder / "pods.yaml").write_text(yaml.safe_dump_all(bare, sort_keys=True), encoding="utf-8")


main(Path(sys.argv[1]))
