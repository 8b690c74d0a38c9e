"""`thaw predict`: ask an exported bundle about one picture or volume."""

import argparse
import json
from pathlib import Path

from rich.console import Console

from pipelines.grammar import Commands


def add(commands: Commands) -> None:
    """Mount the command."""
    command = commands.add_parser("predict", help="ask an exported bundle about one picture or volume")
    command.add_argument("image", type=Path, metavar="IMAGE", help="PNG, JPEG, TIFF or BMP; a volume for CT bundles")
    command.add_argument(
        "--bundle",
        type=Path,
        required=True,
        action="append",
        metavar="DIR",
        help="folder made by `thaw export`; named several times: the mean of what they answer",
    )
    command.add_argument("--prompt", default="", metavar="TEXT", help="what is asked (default: the only prompt)")
    command.add_argument("--out", type=Path, metavar="FILE", help="PNG or JSON to write (default: named after IMAGE)")
    command.set_defaults(handler=_predict)


def _predict(arguments: argparse.Namespace) -> int:
    from pipelines.commands_predict import predict_command

    first, *others = arguments.bundle
    answer = predict_command(arguments.image, arguments.prompt, first, arguments.out, others)
    Console().print(json.dumps(answer, indent=1), soft_wrap=True, markup=False, highlight=False)
    return 0
