"""Near-duplicates: pictures of one source that nobody told us belong together.

Pictures whose fingerprints correlate in any of the eight orientations of the square are taken for one source, and so
are chains of such pictures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from components.core.data.fingerprints import (
    COARSE_NORM,
    SIDE,
    Fingerprint,
    Fingerprints,
    coarse,
    orientations,
)

THRESHOLD = 0.8
"""Correlation from which two pictures are one source. Copies changed in brightness, contrast or compression reached
0.88 and more; of 143,380 pairs of different leaves none exceeded 0.70, of 4,948 of breast ultrasound none 0.48."""

CANDIDATE = 0.7
"""Correlation of coarse fingerprints from which a pair is looked at closely: below, no pair reached `THRESHOLD`."""

BLOCK, TILE = 128, 4096
"""Rows and columns compared at once: bounds memory at 8 * BLOCK * TILE numbers, whatever the number of pictures."""

CLOSE = 8192
"""Candidates looked at closely at once."""

Pairs = Int[np.ndarray, "pairs 3"]
"""Orientation of the first, row of the first, row of the second."""


def clusters(prints: Fingerprints, threshold: float = THRESHOLD) -> Int[np.ndarray, " n"]:
    """Number every picture by its cluster: connected components of "correlates by at least `threshold`".

    Exact: every number compared is a ratio of whole numbers, so that neither threads nor block sizes matter.

    Returns:
        For each picture the smallest row of its cluster.
    """
    # Equal fingerprints (blank pictures, exact copies) are joined at once: pairs of them would be many.
    unique, first, inverse = np.unique(prints, axis=0, return_index=True, return_inverse=True)
    labels = np.arange(len(unique))
    norms = np.sqrt((unique.astype(np.int64) ** 2).sum(axis=1))
    for pairs in _candidates(coarse(unique)):
        apart = pairs[labels[pairs[:, 1]] != labels[pairs[:, 2]]]
        near = apart[_correlations(unique, norms, apart) >= threshold]
        if len(near):
            labels = _joined(labels, np.unique(labels[near[:, 1:]], axis=0))
    smallest = np.full(len(unique), len(prints))
    np.minimum.at(smallest, labels, first)
    numbered: Int[np.ndarray, " n"] = smallest[labels][inverse.reshape(-1)]
    return numbered


def _candidates(small: Float[np.ndarray, "n 144"]) -> Iterator[Pairs]:
    """Pairs of rows whose coarse fingerprints correlate, a tile at a time; blank ones have none."""
    places = orientations(SIDE // 2)
    for start in range(0, len(small), BLOCK):
        block = small[start : start + BLOCK]
        turned = block[:, places].transpose(1, 0, 2).reshape(-1, block.shape[1])
        for column in range(start, len(small), TILE):
            product = turned @ small[column : column + TILE].T
            hits, other = np.divmod(np.flatnonzero(product >= CANDIDATE * COARSE_NORM**2), product.shape[1])
            orientation, row = np.divmod(hits, len(block))
            pairs = np.stack([orientation, row + start, other + column], axis=1)
            yield pairs[pairs[:, 1] < pairs[:, 2]]


def _correlations(prints: Fingerprints, norms: Float[np.ndarray, " n"], pairs: Pairs) -> Float[np.ndarray, " pairs"]:
    places = orientations(SIDE)
    found = np.zeros(len(pairs))
    for start in range(0, len(pairs), CLOSE):
        turn, one, other = pairs[start : start + CLOSE].T
        turned = np.take_along_axis(prints[one], places[turn], axis=1)
        product = np.einsum("pi,pi->p", turned, prints[other], dtype=np.int64)
        found[start : start + CLOSE] = product / (norms[one] * norms[other])
    return found


def _joined(labels: Int[np.ndarray, " n"], pairs: Int[np.ndarray, "pairs 2"]) -> Int[np.ndarray, " n"]:
    """Labels with the components of each pair made one: the smallest row's."""
    parent = labels.copy()
    for one, other in pairs.tolist():
        low, high = sorted((_root(parent, one), _root(parent, other)))
        parent[high] = low
    settled: Bool[np.ndarray, " n"] = parent == parent[parent]
    while not settled.all():
        parent = parent[parent]
        settled = parent == parent[parent]
    return parent


def _root(parent: Int[np.ndarray, " n"], row: int) -> int:
    while parent[row] != row:
        row = int(parent[row])
    return row


@dataclass(frozen=True)
class Grouping:
    """What is known and found of which cases belong together.

    Attributes:
        groups: Group of every case.
        leaders: Smallest id among the near-duplicates of every case; its own where it has none.
    """

    groups: list[str]
    leaders: list[str]


def infer_groups(ids: Sequence[str], given: Sequence[str | None], prints: Sequence[Fingerprint]) -> Grouping:
    """Give every case a group: its own if it has one, else that of its near-duplicates.

    Cases without a group join a given group that their cluster touches, otherwise the cluster becomes a group
    named after its smallest id. The result does not depend on the order of the cases.
    """
    order = sorted(range(len(ids)), key=lambda row: ids[row])
    roots = clusters(np.stack([prints[row] for row in order]))
    named: dict[int, str] = {}
    for row, root in zip(order, roots.tolist(), strict=True):
        group = given[row]
        if group is not None:
            named[root] = min(named.get(root, group), group)
    groups, leaders = [group or "" for group in given], [""] * len(ids)
    for row, root in zip(order, roots.tolist(), strict=True):
        leaders[row] = ids[order[root]]
        if given[row] is None:
            groups[row] = named.get(root, f"like {leaders[row]}")
    return Grouping(groups, leaders)
