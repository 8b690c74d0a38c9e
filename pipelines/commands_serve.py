"""`thaw serve`: an exported bundle behind HTTP."""

import argparse
from pathlib import Path

from pipelines.grammar import Commands

PORT = 8080


def add(commands: Commands) -> None:
    """Mount the command."""
    command = commands.add_parser("serve", help="answer over HTTP with an exported bundle")
    command.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="folder made by `thaw export`")
    command.add_argument("--port", type=int, default=PORT, help=f"TCP port (default: {PORT})")
    command.add_argument(
        "--address", choices=("loopback", "all"), default="loopback", help="who may ask (default: this machine only)"
    )
    command.add_argument("--max-bytes", type=int, default=64 << 20, metavar="N", help="largest body (default: 64 MiB)")
    command.add_argument("--at-once", type=int, default=1, metavar="N", help="answers computed at a time (default: 1)")
    command.set_defaults(handler=_serve)


def _serve(arguments: argparse.Namespace) -> int:
    from components.core.export.bundle import Bundle
    from components.core.tracking.endpoint import ADDRESSES
    from components.core.tracking.logs import set_up_logging
    from components.predictors import predictor_of
    from pipelines.serve import Limits, Server

    set_up_logging("info")
    bundle = Bundle.open(arguments.bundle)
    limits = Limits(max_bytes=arguments.max_bytes, at_once=arguments.at_once)
    warning = str(bundle.metadata.get("warning", ""))
    Server((ADDRESSES[arguments.address], arguments.port), predictor_of(bundle), warning, limits).run()
    return 0
