"""What keeps the amount of every tissue where it was: an absent finding's share of the scan is spent elsewhere.

Without this the brightness of a scan would tell its labels, and a model could pass for one that has seen a finding.
"""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from components.recipes.ct_abnormality.phantom_body import Body

DOMES = 38_000.0
"""Area of the two domes of the diaphragm, mm²: what makes them one millimetre higher."""

WALL = 150_000.0
"""Area of the chest's inner wall, mm²."""

HEART = (230.0, 320.0)
PERICARDIAL = (230.0, 340.0)
PLEURAL = (280.0, 520.0)
"""Millilitres of an enlarged heart beyond its size, of water around it, of water in the pleura."""

DENSE = {
    "Atelectasis": 110.0,
    "Lung nodule": 15.0,
    "Pulmonary fibrotic sequela": 30.0,
    "Consolidation": 240.0,
    "Bronchiectasis": 20.0,
}
"""Millilitres of airless lung that a finding comes with, roughly."""


def balanced(body: Body, random: np.random.Generator, present: Collection[str], strength: float) -> Body:
    """The build with the findings that change it.

    An enlarged heart takes room from the lungs; where it is absent, the liver takes as much. Water is around the
    heart, in the pleura or under the diaphragm (ascites), and takes the same room wherever it is. For airless lung
    that is absent the chest's wall is thicker.
    """
    heart, around, pleural = (strength * random.uniform(*extent) for extent in (HEART, PERICARDIAL, PLEURAL))
    share = float(random.choice([0.0, 0.4, 0.6, 1.0]))
    radii, raised, ascites = body.heart_radii, 0.0, body.ascites
    volume = 4.19e-3 * float(np.prod(radii))
    if "Cardiomegaly" in present:
        grown = 1 + heart / volume
        radii = (radii[0] * grown**0.2, radii[1] * grown**0.3, radii[2] * grown**0.5)
    else:
        raised += heart * 1000 / DOMES
    pericardial, sides = 0.0, (0.0, 0.0)
    if "Pericardial effusion" in present:
        volume = 4.19e-3 * float(np.prod(radii))
        pericardial = float(np.cbrt(np.prod(radii))) * ((1 + around / volume) ** (1 / 3) - 1)
    else:
        ascites += around * 1000 / DOMES
    if "Pleural effusion" in present:
        sides = (share * pleural, (1 - share) * pleural)
    else:
        ascites += pleural * 1000 / DOMES
    thicker = strength * sum(volume for label, volume in DENSE.items() if label not in present) * 1000 / WALL
    return replace(
        body,
        heart_radii=radii,
        pericardial=pericardial,
        pleural=sides,
        ascites=ascites,
        diaphragm=body.diaphragm + raised + ascites,
        cage_width=body.cage_width - thicker,
        cage_depth=body.cage_depth - thicker,
    )
