"""CT-RATE's names of volumes: `split_patient_scan_reconstruction`, as in train_1_a_2 (arXiv:2403.17834)."""

import re
from dataclasses import dataclass

_NAME = re.compile(r"(?P<split>train|valid|test)(?:_fixed)?_(?P<patient>\d+)_(?P<scan>[a-z]+)_(?P<reconstruction>\d+)")


@dataclass(frozen=True)
class CtRateName:
    """What a name says.

    Attributes:
        patient: `train_1`; both splits of CT-RATE count their patients from 1.
        scan: `train_1_a`. Its reconstructions show one body at one moment.
    """

    patient: str
    scan: str


def parse_name(stem: str) -> CtRateName | None:
    """Read a file's name without its ending; None where it is no name of CT-RATE's."""
    found = _NAME.fullmatch(stem)
    if found is None:
        return None
    patient = f"{found['split']}_{found['patient']}"
    return CtRateName(patient, f"{patient}_{found['scan']}")
