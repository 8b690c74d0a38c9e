"""`thaw doctor RECIPE`: would this recipe train on this machine?"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from components.cli.values import add_values, resolve
from pipelines.grammar import Commands


def add(commands: Commands) -> None:
    """Mount the command."""
    command = commands.add_parser(
        "doctor", help="versions, parameters, and one real step of every phase on synthetic samples"
    )
    add_values(command)
    command.add_argument(
        "--cases", type=int, metavar="N", help="training cases to step on (default: 1 on a CPU, 16 elsewhere)"
    )
    command.set_defaults(handler=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    from components.core.engine.device import Device
    from pipelines import doctor
    from pipelines.rehearsal import rehearse

    values, source = resolve(arguments)
    out = Console()
    with tempfile.TemporaryDirectory(prefix="thaw-doctor-") as folder:
        whole = rehearse(values, source, Path(folder), untrained=False)
        device = Device(whole.runtime)
        default = doctor.CASES_ON_CPU if device.device.type == "cpu" else doctor.CASES
        rehearsal = whole.few(default if arguments.cases is None else arguments.cases)
        out.print(doctor.machine_table(device, rehearsal.cache))
        _say_missing(out, rehearsal.missing)
        out.print(doctor.parameter_table(doctor.part_rows(rehearsal), rehearsal.phases))
        out.print(doctor.step_table([doctor.try_step(rehearsal, name) for name in rehearsal.phases]))
    return 0


def _say_missing(out: Console, missing: Sequence[str]) -> None:
    if not missing:
        return
    for line in missing:
        out.print(f"weights: {line}", soft_wrap=True, markup=False, highlight=False)
    out.print("The same architecture is tried with random weights; training will need the pretrained ones.")
