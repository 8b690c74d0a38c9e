"""`thaw benchmark`: what the cache of frozen features saves here, and how quickly pictures are augmented."""

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from components.cli.values import add_values, configure, resolve, size_of
from components.core.errors import BadInput
from pipelines.grammar import Commands, group


def add(commands: Commands) -> None:
    """Mount the commands."""
    members = group(commands, "benchmark", "measure Thaw on this machine")
    _add_cache(members)
    _add_augment(members)


def _add_cache(members: Commands) -> None:
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


def _add_augment(members: Commands) -> None:
    augment = members.add_parser("augment", help="SimCLR's two views per second, against those of lightly")
    add_values(augment)
    augment.add_argument("--data", type=Path, metavar="PATH", help="your data (default: the synthetic data set)")
    augment.add_argument("--images", type=int, default=64, metavar="N", help="pictures at most (default: %(default)s)")
    augment.add_argument("--sizes", type=int, nargs="+", default=[96, 224], metavar="S", help="default: 96 224")
    augment.add_argument(
        "--threads", type=int, nargs="+", metavar="N", help="pictures at once (default: 1, and as many as processors)"
    )
    augment.add_argument("--pairs", type=int, default=5, metavar="N", help="timed rounds (default: %(default)s)")
    augment.add_argument("--clock", choices=("wall", "process"), default="wall", help="default: wall")
    augment.add_argument("--output", type=Path, metavar="FILE", help="JSON of everything measured")
    augment.set_defaults(handler=_augment)


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


def _augment(arguments: argparse.Namespace) -> int:
    from components import stages
    from pipelines.benchmark.augmentation import PRESETS, grey, measure
    from pipelines.benchmark.augmentation_pictures import describe, load_pictures
    from pipelines.benchmark.table import throughput_table

    threads = arguments.threads or sorted({1, os.cpu_count() or 1})
    if min(arguments.images, arguments.pairs, *arguments.sizes, *threads) < 1:
        raise BadInput("nothing to measure", where="--images, --sizes, --threads, --pairs", remedy="give 1 or more")
    values, source = resolve(arguments)
    recipe: Any = vars(configure(stages.load("prepare"), values, source))["recipe"]
    with tempfile.TemporaryDirectory(prefix="thaw-benchmark-") as name:
        pictures = load_pictures(recipe.data, arguments.data, arguments.images, Path(name))
    kinds = {preset: pictures if preset == "colour" else grey(pictures) for preset in PRESETS}
    found = [
        measure(kinds[preset], preset, size, at_once, arguments.pairs, arguments.clock)
        for preset in PRESETS
        for size in arguments.sizes
        for at_once in threads
    ]
    Console().print(throughput_table(found, f"two views of {describe(pictures)}"))
    if arguments.output is not None:
        everything = {"pictures": describe(pictures), "throughput": [asdict(one) for one in found]}
        arguments.output.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    return 0
