"""What the command groups share: the type of a set of commands, and a command that has commands of its own."""

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def group(commands: Commands, name: str, summary: str) -> Commands:
    """Add a command that does nothing but hold others."""
    command = commands.add_parser(name, help=summary, description=summary)
    return command.add_subparsers(title="commands", metavar="COMMAND", required=True)
