"""`thaw monitoring write|picture`: the files that a cluster is watched with, and a dashboard without Grafana."""

import argparse
from pathlib import Path

from rich.console import Console

from components.core.errors import BadInput
from pipelines.grammar import Commands, group

LONGEST_MINUTES = 7 * 24 * 60


def add(commands: Commands) -> None:
    """Mount the commands."""
    members = group(commands, "monitoring", "write alert rules and dashboards, or draw one from a Prometheus")
    writing = members.add_parser("write", help="write alert rules and Grafana dashboards")
    writing.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the files")
    writing.set_defaults(handler=_write)
    drawing = members.add_parser("picture", help="draw a dashboard's panels from a Prometheus, without Grafana")
    drawing.add_argument("--prometheus", required=True, metavar="URL", help="address of the Prometheus")
    drawing.add_argument("--board", default="thaw-stage", metavar="NAME", help="the dashboard (default: %(default)s)")
    drawing.add_argument("--minutes", type=float, default=60, metavar="N", help="the last N minutes (default: 60)")
    drawing.add_argument("--stage", default=".*", metavar="REGEX", help="stages to draw (default: all)")
    drawing.add_argument("--out", type=Path, required=True, metavar="PNG", help="picture to write")
    drawing.set_defaults(handler=_picture)


def _write(arguments: argparse.Namespace) -> int:
    from pipelines.monitoring.files import write

    changed = write(arguments.out)
    for file in changed:
        Console().print(str(file), highlight=False, soft_wrap=True)
    Console().print(f"{len(changed)} files changed", highlight=False)
    return 0


def _picture(arguments: argparse.Namespace) -> int:
    from pipelines.monitoring.boards import BOARDS
    from pipelines.monitoring.picture import draw
    from pipelines.monitoring.prometheus import Prometheus

    boards = {board.uid: board for board in BOARDS}
    if arguments.board not in boards:
        raise BadInput(
            f"there is no dashboard {arguments.board!r}", where="--board", remedy=f"choose among {sorted(boards)}"
        )
    if not 0 < arguments.minutes <= LONGEST_MINUTES:
        raise BadInput(
            "no such stretch of time", where="--minutes", remedy=f"give more than 0, at most {LONGEST_MINUTES}"
        )
    seconds = arguments.minutes * 60
    draw(boards[arguments.board], Prometheus(arguments.prometheus), seconds, arguments.out, arguments.stage)
    return 0
