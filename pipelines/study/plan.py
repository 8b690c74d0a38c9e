"""The runs of a study: every variant with every seed, first results first."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from components import stages
from components.cli.values import configure
from components.core.config import canonical, merge
from components.core.errors import BadInput
from pipelines.local import Run, active
from pipelines.study.values import WITHOUT, Study

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyRun:
    """One variant with one seed.

    Attributes:
        run: Its values, and a folder of its own for what is known of it.
        shelf: Folder of the stages' outputs, which the runs of a study share.
        until: Last stage to run.
    """

    variant: str
    seed: int
    run: Run
    shelf: Path
    until: str

    @property
    def name(self) -> str:
        return f"{self.variant}, seed {self.seed}"

    def dump(self) -> dict[str, Any]:
        """Plain values, which `load` reads."""
        run = {**asdict(self.run), "raw": self.run.raw and str(self.run.raw), "out": str(self.run.out)}
        return {"variant": self.variant, "seed": self.seed, "run": run, "shelf": str(self.shelf), "until": self.until}

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> "StudyRun":
        """What `dump` wrote."""
        run = dict(values["run"])
        run["raw"] = Path(run["raw"]) if run["raw"] else None
        run["out"] = Path(run["out"])
        return cls(values["variant"], values["seed"], Run(**run), Path(values["shelf"]), values["until"])


def plan(study: Study, base: Run, seeds: Sequence[int], workers: int) -> list[StudyRun]:
    """Every variant with every seed; all variants of one seed stand before the next seed.

    Args:
        base: The recipe's values, the data, and the study's folder.
        workers: Runs side by side.

    Raises:
        BadInput: A variant's values are not valid, or the seeds are none or twice the same.
    """
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise BadInput(
            "every seed once, and none below 0", where=f"--seeds {' '.join(map(str, seeds))}", remedy="give 0 1 2"
        )
    if workers < 1:
        raise BadInput("somebody has to do the work", where=f"--workers {workers}", remedy="give 1 or more")
    variants = dict(_variants(study, base, workers))
    _warn_of_twins(variants)
    return [
        _with_seed(name, run, seed, study.until(name), base.out) for seed in seeds for name, run in variants.items()
    ]


def _variants(study: Study, base: Run, workers: int) -> Iterator[tuple[str, Run]]:
    for name, overrides in study.variants.items():
        source = f"{base.source}, variant {name} of the study"
        values = _changed(_changed(base.values, study.shared, source), overrides, source)
        values = merge(values, {"runtime": _alike(values, workers)})
        run = replace(base, values=values, source=source)
        if (values.get("recipe") or {}).get("name") != base.recipe:
            raise BadInput(
                f"a variant cannot be another recipe than {base.recipe!r}",
                where=f"{run.source}: recipe.name",
                remedy="study that recipe by itself",
            )
        for node in active(values, study.until(name)):
            configure(stages.load(node.stage), dict(values), run.source)
        yield name, run


def _changed(values: Mapping[str, Any], overrides: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The values with keys taken out, then with others laid over them."""
    kept: dict[str, Any] = dict(values)
    stated = [dotted for dotted in overrides.get(WITHOUT, ()) if _has(values, dotted)]
    unstated = [dotted for dotted in overrides.get(WITHOUT, ()) if dotted not in stated]
    if unstated:
        _require_default(unstated, values, source)
    for dotted in stated:
        kept = _without(kept, dotted.split("."))
    return merge(kept, {name: value for name, value in overrides.items() if name != WITHOUT})


def _has(values: Any, dotted: str) -> bool:
    for name in dotted.split("."):
        if not isinstance(values, Mapping) or name not in values:
            return False
        values = values[name]
    return True


def _without(values: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    name, *below = path
    kept = {key: value for key, value in values.items() if key != name}
    return {**kept, name: _without(values[name], below)} if below else kept


def _require_default(keys: Sequence[str], values: Mapping[str, Any], source: str) -> None:
    """A key that no file states has its default already; one that does not exist is a mistake."""
    every: dict[str, Any] = {}
    for name in stages.NAMES:
        every = merge(every, configure(stages.load(name), dict(values), source).model_dump(mode="json"))
    for dotted in keys:
        if not _has(every, dotted):
            raise BadInput(
                f"there is no key {dotted!r} to take out",
                where=f"{source}: {WITHOUT}",
                remedy="`thaw params RECIPE` prints every key",
            )


def _alike(values: Mapping[str, Any], workers: int) -> dict[str, Any]:
    """How runs are made, so that their numbers are the same however many are made side by side.

    The last digits of a sum depend on how many threads share it; neighbours also must not want one another's port,
    and their bars would paint over each other.
    """
    runtime = values.get("runtime") or {}
    quiet = {"progress": False, "metrics_port": 0} if workers > 1 else {}
    return {"threads": runtime.get("threads") or 1, **quiet}


def _with_seed(name: str, run: Run, seed: int, until: str, out: Path) -> StudyRun:
    values = merge(run.values, {"seed": seed})
    board = (values.get("runtime") or {}).get("tensorboard")
    if board is not None:
        values = merge(values, {"runtime": {"tensorboard": str(Path(board) / name)}})
    own = replace(run, values=values, out=out / "runs" / name / f"seed-{seed}")
    return StudyRun(name, seed, own, out / "stages", until)


def _warn_of_twins(variants: Mapping[str, Run]) -> None:
    """Two variants of the same values differ by nothing, which is seldom what was meant."""
    seen: dict[str, str] = {}
    for name, run in variants.items():
        first = seen.setdefault(canonical(dict(run.values)), name)
        if first != name:
            log.warning("the variants %s and %s have the same values: their difference will be 0", first, name)
