"""One run of a study in a process of its own: `python -m pipelines.study.worker FILE TOKEN`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from components.cli.main import run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Make the run that a file describes."""
    top = argparse.ArgumentParser(prog="thaw study (worker)")
    top.add_argument("file", type=Path)
    top.add_argument("restart", nargs="?", default="")
    top.set_defaults(handler=_make)
    return run_command(top, argv)


def _make(arguments: argparse.Namespace) -> int:
    from components.core.tracking.logs import set_up_logging
    from pipelines.study.carry_out import make_run
    from pipelines.study.plan import StudyRun

    one = StudyRun.load(json.loads(arguments.file.read_text(encoding="utf-8")))
    set_up_logging((one.run.values.get("runtime") or {}).get("log_level", "info"))
    make_run(one, arguments.restart)
    return 0


if __name__ == "__main__":
    sys.exit(main())
