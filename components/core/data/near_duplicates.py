"""Near-duplicates: pictures of one patient that nobody told us belong together.

A difference hash (dHash) says for 16 x 16 places whether brightness rises to the right; pictures whose hashes
differ in few bits are taken for one source, and so are chains of such pictures.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Int, Shaped, UInt64

from components.core.data.images import grey

HASH_SIDE = 16
HASH_WORDS = HASH_SIDE * HASH_SIDE // 64
THRESHOLD = 25
"""Differing bits of 256 up to which two pictures are one source."""

BLOCK = 256
"""Rows compared at once: bounds memory at n * BLOCK words."""

Hash = UInt64[np.ndarray, " 4"]


def difference_hash(picture: Shaped[np.ndarray, "..."]) -> Hash:
    """256-bit dHash of a picture [h, w] or [h, w, 3 or 4], or of a volume's middle plane [d, h, w]."""
    plane = _plane(picture)
    small = cv2.resize(plane.astype(np.float32), (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA)
    rises: Bool[np.ndarray, "16 16"] = small[:, 1:] > small[:, :-1]
    words: Hash = np.packbits(rises.reshape(-1)).view(np.uint64)
    return words


def _plane(picture: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "h w"]:
    if picture.ndim == 2:
        return picture
    if picture.ndim == 3 and picture.shape[2] in (3, 4):
        return grey(np.ascontiguousarray(picture[:, :, :3]))
    if picture.ndim == 3:
        middle: Shaped[np.ndarray, "h w"] = picture[len(picture) // 2]
        return middle
    raise ValueError(f"cannot hash an array of shape {picture.shape}")


def clusters(hashes: UInt64[np.ndarray, "n 4"], threshold: int = THRESHOLD) -> Int[np.ndarray, " n"]:
    """Number every picture by its cluster: connected components of "at most `threshold` bits differ".

    Returns:
        For each picture the smallest row of its cluster.
    """
    # Equal hashes (blank pictures) are joined at once: pairs of them would be many.
    unique, first, inverse = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    parent = np.arange(len(unique))
    for start in range(0, len(unique), BLOCK):
        block = unique[start : start + BLOCK]
        distance = np.bitwise_count(block[:, None, :] ^ unique[None, start:, :]).sum(axis=2, dtype=np.int64)
        for low, high in np.argwhere(np.triu(distance <= threshold, k=1)):
            _join(parent, start + int(low), start + int(high))
    roots = np.array([_root(parent, row) for row in range(len(unique))], dtype=np.int64)
    smallest = np.full(len(unique), len(hashes))
    np.minimum.at(smallest, roots, first)
    numbered: Int[np.ndarray, " n"] = smallest[roots][inverse.reshape(-1)]
    return numbered


def _root(parent: Int[np.ndarray, " n"], row: int) -> int:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = int(parent[row])
    return row


def _join(parent: Int[np.ndarray, " n"], one: int, other: int) -> None:
    low, high = sorted((_root(parent, one), _root(parent, other)))
    parent[high] = low


def infer_groups(ids: Sequence[str], given: Sequence[str | None], hashes: Sequence[Hash]) -> list[str]:
    """Give every case a group: its own if it has one, else that of its near-duplicates.

    Cases without a group join a given group that their cluster touches, otherwise the cluster becomes a group
    named after its smallest id. The result does not depend on the order of the cases.
    """
    order = sorted(range(len(ids)), key=lambda row: ids[row])
    roots = clusters(np.stack([hashes[row] for row in order]))
    named: dict[int, str] = {}
    for row, root in zip(order, roots.tolist(), strict=True):
        group = given[row]
        if group is not None:
            named[root] = min(named.get(root, group), group)
    groups = [group or "" for group in given]
    for row, root in zip(order, roots.tolist(), strict=True):
        if given[row] is None:
            groups[row] = named.get(root, f"like {ids[order[root]]}")
    return groups
