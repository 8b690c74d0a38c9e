"""`thaw fetch`: raw volumes from the hub or from S3 into a folder that `prepare` reads."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from components.core.errors import BadInput
from components.core.tracking.overview import show_bytes
from pipelines.grammar import Commands

if TYPE_CHECKING:
    from components.core.data.remote import RemoteData

HUB = re.compile(r"hf:(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
BUCKET = "s3://"


def add(commands: Commands) -> None:
    """Mount the command."""
    command = commands.add_parser("fetch", help="fetch raw volumes and their tables; asked again it goes on")
    command.add_argument("source", metavar="SOURCE", help="hf:OWNER/NAME[@REVISION] or s3://BUCKET/PREFIX")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to fetch into")
    command.add_argument(
        "--split", metavar="NAME", help="folder of the volumes, valid_fixed for example (default: all)"
    )
    command.add_argument("--volumes", type=_count, metavar="N", help="the first N volumes (default: all)")
    command.add_argument("--plan", action="store_true", help="only tell what would be fetched")
    command.set_defaults(handler=_fetch)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _fetch(arguments: argparse.Namespace) -> int:
    from components.core.data.progress import Progress
    from components.core.data.remote import choose, fetch, plan

    source, out = open_source(arguments.source), Console()
    made = plan(choose(source.files(), arguments.split, arguments.volumes), arguments.out)
    total = sum(file.size for file in made.files)
    out.print(
        f"{len(made.files)} files of {show_bytes(total)}, {len(made.missing)} of {show_bytes(made.needed)} to be"
        f" fetched; {show_bytes(made.free)} of the disk are free",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
    made.require_room(arguments.out)
    if arguments.plan:
        return 0
    with Progress("fetch", len(made.missing), shown=True) as bar:
        fetch(source, made, arguments.out, lambda _: bar.advance())
    out.print(
        f"{arguments.out} holds all of them; prepare with --data {arguments.out} --set"
        " recipe.data.missing=leave_out where the tables name more volumes",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
    return 0


def open_source(address: str) -> "RemoteData":
    """The place that an address names. Raises BadInput."""
    if address.startswith(BUCKET):
        from components.core.data.bucket import BucketData

        return BucketData(address)
    named = HUB.fullmatch(address)
    if named is None:
        raise BadInput("no such kind of source", where=address, remedy="write hf:OWNER/NAME or s3://BUCKET/PREFIX")
    from components.core.data.hub import HubData

    return HubData(named["name"], named["revision"])
