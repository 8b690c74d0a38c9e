"""Probabilities as labelled bars, for panels of classifiers."""

from collections.abc import Collection, Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

SIDE = 256
"""Side of a panel's picture, pixels."""

LINE = 26
"""Height of one line of text with its bar, pixels."""

RIGHT, WRONG, INK, PAPER = (0, 158, 115), (230, 159, 0), (30, 30, 30), (255, 255, 255)
"""Bluish green and orange of Okabe and Ito's palette, which colour-blind readers tell apart."""

FONT, SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42


def bars(
    probability: Float[np.ndarray, " k"],
    names: Sequence[str],
    shown: Sequence[int],
    right: Collection[int] = (),
    title: str | None = None,
) -> UInt8[np.ndarray, "u v 3"]:
    """Some probabilities as bars with their names, one per line.

    Args:
        shown: Numbers of those that get a bar, in the order of the lines.
        right: Those whose bars are green; others are orange.
        title: First line; None has none.
    """
    board = np.full((LINE * ((title is not None) + len(shown)), SIDE, 3), PAPER, dtype=np.uint8)
    if title is not None:
        _write(board, title, 0)
    for place, number in enumerate(shown, start=int(title is not None)):
        share = float(probability[number])
        top, colour = place * LINE, RIGHT if number in right else WRONG
        cv2.rectangle(board, (0, top + 3), (round(share * (SIDE - 1)), top + LINE - 3), colour, cv2.FILLED)
        _write(board, f"{share:.2f} {names[number]}", top)
    return board


def likeliest(probability: Float[np.ndarray, " k"], count: int) -> list[int]:
    """Numbers of the most probable ones, in falling order; of equals the first."""
    order: list[int] = np.argsort(-probability, kind="stable")[:count].tolist()
    return order


def _write(board: UInt8[np.ndarray, "u v 3"], text: str, top: int) -> None:
    # OpenCV's font knows ASCII alone; anything else would be drawn as question marks one by one.
    plain = text.encode("ascii", "replace").decode("ascii")
    cv2.putText(board, plain, (4, top + LINE - 9), FONT, SCALE, INK, 1, cv2.LINE_AA)
