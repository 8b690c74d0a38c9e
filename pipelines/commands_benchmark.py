"""`thaw benchmark cache RECIPE`: what the cache of frozen features saves here, and that it changes no number."""

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from components.cli.values import add_values, resolve, size_of
from components.core.errors import BadInput
from pipelines.grammar import Commands, group


def add(commands: Commands) -> None:
    """Mount the commands."""
    members = group(commands, "benchmark", "measure Thaw on this machine")
    cache = members.add_parser("cache", help="training with and without the cache of frozen features, random weights")
    add_values(cache)
    cache.add_argument(
        "--phases", default="warmup,partial_unfreeze", metavar="A,B", help="phases to time (default: %(default)s)"
    )
    cache.add_argument("--images", type=int, default=4, metavar="N", help="training cases (default: %(default)s)")
    cache.add_argument("--pairs", type=int, default=3, metavar="N", help="timed epochs of each kind (default: 3)")
    cache.add_argument(
        "--steps", type=int, default=20, metavar="N", help="steps whose numbers are compared; 0: none (default: 20)"
    )
    cache.add_argument(
        "--clock",
        choices=("wall", "process"),
        default="wall",
        help="process: count this program's processor time alone, on a shared machine (default: wall)",
    )
    cache.add_argument("--output", type=Path, metavar="FILE", help="JSON of everything measured")
    cache.set_defaults(handler=_cache)


def _cache(arguments: argparse.Namespace) -> int:
    from pipelines.benchmark.agreement import compare
    from pipelines.benchmark.pace import measure
    from pipelines.benchmark.ratio import TARGETS, saving
    from pipelines.benchmark.table import agreement_table, saving_table
    from pipelines.rehearsal import choose, rehearse

    if arguments.pairs < 1 or arguments.steps < 0:
        raise BadInput("nothing to measure", where="--pairs, --steps", remedy="time one pair or more")
    values, source = resolve(arguments)
    out = Console()
    with tempfile.TemporaryDirectory(prefix="thaw-benchmark-") as name:
        folder = Path(name)
        rehearsal = rehearse(values, source, folder, untrained=True)
        chosen = list(choose(rehearsal.phases, arguments.phases.split(",")))
        targets = TARGETS if arguments.size == "full" else {}
        timed = rehearsal.few(arguments.images)
        paces = [measure(timed, phase, arguments.pairs, folder / f"{phase}-pace", arguments.clock) for phase in chosen]
        savings = [saving(pace, targets.get(pace.phase)) for pace in paces]
        out.print(saving_table(savings, f"{arguments.recipe} ({size_of(arguments)}), random weights"))
        same = [compare(timed, phase, arguments.steps, folder / f"{phase}-same") for phase in chosen if arguments.steps]
        if same:
            out.print(agreement_table(same))
    if arguments.output is not None:
        found = {"savings": [asdict(one) for one in savings], "agreement": [asdict(one) for one in same]}
        arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0
