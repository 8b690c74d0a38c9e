"""Pictures of one sample for the report: what was asked, what was salient, what was answered."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

SIDE = 256
"""Longest side of a panel, pixels."""

TRUTH = (0, 158, 115)
"""Bluish green of Okabe and Ito's palette, which colour-blind readers tell from the orange."""

PREDICTION = (230, 159, 0)
"""Orange of the same palette."""

TRUTH_WIDTH, PREDICTION_WIDTH = 2, 1
"""Pixels: a line on a broader one leaves both visible where they agree."""

HEAT = 0.5
"""Weight of the heat map over the picture."""

SUBPIXEL_BITS = 4


def panels(
    image: UInt8[np.ndarray, "h w 3"],
    truth: Bool[np.ndarray, "h w"],
    predicted: Bool[np.ndarray, "h w"],
    saliency: Float[np.ndarray, "h w"] | None = None,
) -> dict[str, UInt8[np.ndarray, "u v 3"]]:
    """RGB panels by caption, at most 256 px long and more than 128.

    Args:
        image: RGB.
        truth: Drawn green.
        predicted: Drawn orange.
        saliency: In [0, 1]; None leaves its panel out.

    Returns:
        `image + truth`, `saliency` (viridis over the picture) and `prediction` (outlines of both masks).
    """
    shown = resized(image)
    asked = with_outline(shown, truth, TRUTH, TRUTH_WIDTH)
    found = {"image + truth": asked}
    if saliency is not None:
        found["saliency"] = with_heat(shown, saliency)
    found["prediction"] = with_outline(asked, predicted, PREDICTION, PREDICTION_WIDTH)
    return found


def resized(image: UInt8[np.ndarray, "h w 3"], side: int = SIDE) -> UInt8[np.ndarray, "u v 3"]:
    """The picture at about `side` pixels and never above, in its own proportions.

    A longer one is shrunk by area; a shorter one is enlarged by a whole factor, its pixels staying what they are.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return np.asarray(image.repeat(int(scale), axis=0).repeat(int(scale), axis=1))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def with_heat(image: UInt8[np.ndarray, "u v 3"], saliency: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "u v 3"]:
    """A probability map over a picture, 0 dark blue to 1 yellow."""
    height, width = image.shape[:2]
    # By area, which averages and so stays within the map's own range.
    fitted = cv2.resize(saliency.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    levels = np.rint(np.clip(fitted, 0, 1) * 255).astype(np.uint8)
    heat = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    return np.asarray(cv2.addWeighted(image, 1 - HEAT, heat, HEAT, 0), dtype=np.uint8)


def with_outline(
    image: UInt8[np.ndarray, "u v 3"], mask: Bool[np.ndarray, "h w"], colour: tuple[int, int, int], width: int
) -> UInt8[np.ndarray, "u v 3"]:
    """The outline of a mask of any size on a picture; holes too.

    Outlines are traced at the mask's own size, so that shrinking loses no small lesion.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    factor = np.asarray([image.shape[1] / mask.shape[1], image.shape[0] / mask.shape[0]])
    # Pixel centres of the mask to pixel centres of the picture, in fractions of a pixel.
    scaled = [((contour + 0.5) * factor - 0.5) * 2**SUBPIXEL_BITS for contour in contours]
    lines = [np.rint(line).astype(np.int32) for line in scaled]
    drawn = image.copy()
    # Without antialiasing, which would pale a line of one pixel wherever it falls between two.
    cv2.polylines(drawn, lines, isClosed=True, color=colour, thickness=width, lineType=cv2.LINE_8, shift=SUBPIXEL_BITS)
    return drawn
