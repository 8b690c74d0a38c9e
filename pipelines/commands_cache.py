"""`thaw cache list|prune`: the folder of frozen features."""

import argparse
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from components.core.errors import BadInput
from components.core.runtime import Cache
from components.core.tracking.overview import show_bytes
from pipelines.grammar import Commands, group

GB = 10**9


def add(commands: Commands) -> None:
    """Mount the commands."""
    members = group(commands, "cache", "see or empty the folder of frozen features")
    listing = members.add_parser("list", help="what is kept, least recently used first")
    listing.set_defaults(handler=_list)
    pruning = members.add_parser("prune", help="delete what was used longest ago")
    pruning.add_argument(
        "--keep-gb", type=float, default=0.0, metavar="N", help="keep the newest N x 10^9 bytes (default: 0)"
    )
    pruning.set_defaults(handler=_prune)
    for command in (listing, pruning):
        command.add_argument(
            "--dir", type=Path, default=Cache().dir, metavar="DIR", help="runtime.cache.dir (default: %(default)s)"
        )


def _list(arguments: argparse.Namespace) -> int:
    from components.core.engine.cache import FeatureCache

    entries = FeatureCache(Cache(dir=_existing(arguments.dir))).entries()
    table = Table(title=Text(f"{arguments.dir}: {show_bytes(sum(entry.bytes for entry in entries))}"))
    for name in ("key", "features", "size", "last used"):
        table.add_column(name, justify="right" if name == "size" else "left")
    for entry in entries:
        used = datetime.fromtimestamp(entry.used).astimezone().isoformat(" ", "minutes")
        table.add_row(entry.key[:12], Text(entry.note), show_bytes(entry.bytes), used)
    Console().print(table)
    return 0


def _prune(arguments: argparse.Namespace) -> int:
    from components.core.engine.cache import FeatureCache

    if arguments.keep_gb < 0:
        raise BadInput("less than nothing cannot be kept", where="--keep-gb", remedy="give 0 or more")
    freed = FeatureCache(Cache(dir=_existing(arguments.dir))).prune(int(arguments.keep_gb * GB))
    Console().print(f"freed {show_bytes(freed)}", highlight=False)
    return 0


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise BadInput("there is no cache", where=str(folder), remedy="give --dir the value of runtime.cache.dir")
    return folder
