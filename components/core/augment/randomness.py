"""Random numbers as a function of integers."""

import hashlib

import numpy as np


def generator(*integers: int) -> np.random.Generator:
    """A counter-based generator keyed by the integers alone; other integers give independent streams.

    The key is a digest, because `SeedSequence` gives (1, 2) and (1, 2, 0) the same state.
    """
    digest = hashlib.sha256(",".join(map(str, integers)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
