"""Runs the containers of an Argo workflow as processes of this machine, in the order of its edges."""

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PLACEHOLDER = re.compile(r"\{\{([^}]+)\}\}")

Artifacts = dict[str, Path]


@dataclass
class Cluster:
    """Where a workflow runs.

    Attributes:
        workflow: The YAML's document.
        root: Folder; every pod has one of its own below it, in the place of /tmp.
        variables: Environment of every container.
        made: Outputs by place in the graph (`folds-0/seeds-1/warmup`) and name.
        order: Places in the order in which their containers ended.
    """

    workflow: dict[str, Any]
    root: Path
    variables: Mapping[str, str]
    made: dict[str, Artifacts] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def run(self) -> str:
        """Run everything, the exit handler too. Returns Argo's word for how it ended."""
        spec = self.workflow["spec"]
        given = {one["name"]: one.get("value", "") for one in spec.get("arguments", {}).get("parameters", [])}
        self.given = {f"workflow.parameters.{name}": value for name, value in given.items()}
        try:
            self._template(spec["entrypoint"], {}, {}, "")
            status = "Succeeded"
        except subprocess.CalledProcessError:
            status = "Failed"
        if "onExit" in spec:
            self.given |= {"workflow.status": status, "workflow.duration": "1.5"}
            self._template(spec["onExit"], {}, {}, "exit")
        return status

    def template(self, name: str) -> dict[str, Any]:
        (found,) = [one for one in self.workflow["spec"]["templates"] if one["name"] == name]
        return dict(found)

    def _template(self, name: str, parameters: dict[str, str], artifacts: Artifacts, place: str) -> Artifacts:
        template = self.template(name)
        declared = template.get("inputs", {})
        defaults = {one["name"]: one["value"] for one in declared.get("parameters", []) if "value" in one}
        parameters = {**defaults, **parameters}
        assert set(parameters) == {one["name"] for one in declared.get("parameters", [])}, (place, parameters)
        assert set(artifacts) == {one["name"] for one in declared.get("artifacts", [])}, (place, artifacts)
        if "dag" in template:
            self._graph(template["dag"]["tasks"], parameters, artifacts, place)
            return {}
        return self._container(template, parameters, artifacts, place)

    def _graph(self, tasks: list[dict[str, Any]], parameters: dict[str, str], given: Artifacts, place: str) -> None:
        known = {f"inputs.parameters.{name}": value for name, value in parameters.items()}
        files = {f"inputs.artifacts.{name}": path for name, path in given.items()}
        ended: set[str] = set()
        waiting = list(tasks)
        while waiting:
            ready = [one for one in waiting if set(filter(None, one.get("depends", "").split(" && "))) <= ended]
            assert ready, f"a circle among {[one['name'] for one in waiting]}"
            task = ready[-1]  # any order that the edges allow
            waiting.remove(task)
            for number, item in enumerate(task.get("withItems", [None])):
                below = f"{task['name']}-{number}" if item is not None else task["name"]
                self._call(task, {**known, "item": item}, files, f"{place}/{below}".lstrip("/"), ended)
            ended.add(task["name"])

    def _call(self, task: dict[str, Any], known: dict[str, Any], files: Artifacts, place: str, ended: set[str]) -> None:
        arguments = task.get("arguments", {})
        parameters = {one["name"]: self._filled(one["value"], known) for one in arguments.get("parameters", [])}
        artifacts = {}
        for one in arguments.get("artifacts", []):
            (source,) = PLACEHOLDER.findall(one["from"])
            if source.startswith("tasks."):
                assert source.split(".")[1] in ended, f"{place} reads {source} and does not wait for it"
            artifacts[one["name"]] = files[source]
        made = self._template(task["template"], parameters, artifacts, place)
        files |= {f"tasks.{task['name']}.outputs.artifacts.{name}": path for name, path in made.items()}

    def _filled(self, text: str, known: Mapping[str, Any]) -> str:
        return PLACEHOLDER.sub(lambda found: str({**self.given, **known}[found[1]]), text)

    def _container(
        self, template: dict[str, Any], parameters: dict[str, str], artifacts: Artifacts, place: str
    ) -> Artifacts:
        pod = self.root / place.replace("/", "_")
        (pod / "outputs").mkdir(parents=True)
        (pod / "inputs").mkdir()
        for one in template.get("inputs", {}).get("artifacts", []):
            (pod / Path(one["path"]).relative_to("/tmp")).symlink_to(artifacts[one["name"]])
        known = {f"inputs.parameters.{name}": value for name, value in parameters.items()}
        words = [self._filled(word, known) for word in template["container"]["args"]]
        words = [str(pod / word.removeprefix("/tmp/")) if word.startswith("/tmp/") else word for word in words]
        command = [sys.executable, *template["container"]["command"][1:], *words]
        subprocess.run(command, cwd=pod, env=dict(self.variables), check=True)
        self.order.append(place)
        outputs = template.get("outputs", {}).get("artifacts", [])
        made = {one["name"]: pod / Path(one["path"]).relative_to("/tmp") for one in outputs}
        assert all(path.exists() for path in made.values()), made
        self.made[place] = made
        return made
