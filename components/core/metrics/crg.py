"""CRG, the clinically relevant grouping score by which the VLM3D challenge ranks detections of abnormalities."""

UNDEFINED = float("nan")


def crg(*, tp: float, fp: float, fn: float, decisions: float) -> float:
    """U / (2 U - s): 1 for a perfect answer, 1/3 for calling nothing present.

    With X decisions and A positives among them, a hit earns r = (X - A) / 2A, a miss costs as much, a false alarm costs
    1; s is their sum and U = (X - A) / 2 the most that can be earned.

    Args:
        tp: Positives called present.
        fp: Negatives called present.
        fn: Positives not called present.
        decisions: Labels times volumes.

    Returns:
        NaN without positives, and without negatives (where nothing weighs anything).
    """
    positives = tp + fn
    most = (decisions - positives) / 2
    if positives == 0 or most == 0:
        return UNDEFINED
    hit = (decisions - positives) / (2 * positives)
    earned = hit * tp - hit * fn - fp
    return most / (2 * most - earned)
