"""Masks of label values: what the numbers in a mask file mean."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt8

from components.core.errors import BadInput

BINARY = ({1}, {255})
"""Nonzero values that binary masks are usually stored with."""


def name_labels(
    stored: Integer[np.ndarray, "h w"], values: Collection[int], ignored: Collection[int], where: Path
) -> UInt8[np.ndarray, "h w"]:
    """Turn stored values into labels.

    Labels are the stored values. Where only one label is wanted, a binary mask of 0 and 1, or 0 and 255, is it.

    Args:
        stored: Values as the file stores them.
        values: Labels that have a meaning, 1 to 255.
        ignored: Stored values that become background.
        where: The file, for the error.

    Raises:
        BadInput: There are values that mean nothing.
    """
    present = set(np.unique(stored).tolist()) - {0} - set(ignored)
    labels: Integer[np.ndarray, "h w"] = np.where(np.isin(stored, sorted(ignored)), 0, stored)
    if present <= set(values):
        return labels.astype(np.uint8)
    if len(values) == 1 and present in BINARY:
        return np.where(labels != 0, next(iter(values)), 0).astype(np.uint8)
    unknown = sorted(present - set(values))
    listed = ", ".join(map(str, unknown[:8])) + (f" and {len(unknown) - 8} more" if len(unknown) > 8 else "")
    raise BadInput(
        f"the mask has values without a meaning: {listed}; known are 0 and {sorted(values)}",
        where=str(where),
        remedy="name them in data.prompts or data.ignore_values; save a JPEG mask anew as PNG with exact values",
    )
