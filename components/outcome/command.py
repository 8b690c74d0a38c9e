"""`outcome RECIPE`: pushes how a whole pipeline ended; stages push their own outcome themselves.

A task that was killed, evicted or never scheduled cannot say so: the exit handler of its pipeline does.
"""

import argparse
import json
import math

from components.core.errors import BadInput
from components.core.tracking.logs import set_up_logging
from components.core.tracking.push import Outcome, RunLabels, push_outcome

STAGE = "pipeline"
"""What stands for a stage in the labels of a whole pipeline; its fold and seed are empty."""

SUCCEEDED = {"SUCCEEDED", "Succeeded"}
"""The words of Kubeflow and of Argo."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Mount the command."""
    summary = "push how a whole pipeline ended to a Pushgateway (for exit handlers)"
    command = commands.add_parser("outcome", help=summary, description=summary)
    command.add_argument("recipe", metavar="RECIPE")
    command.add_argument("--pushgateway", required=True, metavar="ADDRESS", help="host:port or URL")
    command.add_argument("--status", required=True, help="Kubeflow's final status as JSON, or Argo's one word")
    command.add_argument("--seconds", type=float, help="wall time of the pipeline, where it is known")
    command.set_defaults(handler=_outcome)


def _outcome(arguments: argparse.Namespace) -> int:
    """Push; a gateway that does not answer is warned of, because it must not turn a success into a failure."""
    set_up_logging("info")
    seconds = arguments.seconds if arguments.seconds is not None and math.isfinite(arguments.seconds) else None
    outcome = Outcome(0 if succeeded(arguments.status) else 1, seconds, {})
    push_outcome(arguments.pushgateway, RunLabels(arguments.recipe, STAGE, seed=None), outcome)
    return 0


def succeeded(status: str) -> bool:
    """Does this status tell of a success?

    Args:
        status: `{"state": "SUCCEEDED", ...}` as Kubeflow writes it, or Argo's `Succeeded`.

    Raises:
        BadInput: It is neither.
    """
    word = status
    if status.startswith("{"):
        try:
            word = json.loads(status).get("state")
        except ValueError as error:
            raise BadInput(f"not a status: {error}", where="--status", remedy="leave it to the pipeline") from error
    if not isinstance(word, str) or not word:
        raise BadInput("a status without a state", where="--status", remedy="leave it to the pipeline")
    return word in SUCCEEDED
