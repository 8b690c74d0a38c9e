"""What the card tells of near-duplicates: enough to judge whether they are copies, and what they put in doubt."""

from collections import Counter
from collections.abc import Mapping, Sequence

from components.core.data.card import Cluster, Clusters
from components.core.data.index import Row
from components.core.data.splits import UNLABELLED

LARGEST, EXAMPLES = 10, 5
"""Clusters that the card shows, and ids of each."""


def clusters_of(rows: Sequence[Row], leaders: Mapping[str, str]) -> Clusters:
    """Counts, and the largest clusters with their first ids.

    Args:
        leaders: By id of every row the smallest id among its near-duplicates.
    """
    several = [members for members in _alike(rows, leaders) if len(members) > 1]
    several.sort(key=lambda members: (-len(members), -len(_strata(members)), members[0].id))
    return Clusters(
        count=len(several),
        cases=sum(map(len, several)),
        across_strata=sum(len(_strata(members)) > 1 for members in several),
        largest=[
            Cluster(
                size=len(members),
                strata=dict(sorted(_strata(members).items())),
                examples=[member.id for member in members[:EXAMPLES]],
            )
            for members in several[:LARGEST]
        ],
    )


def doubts(rows: Sequence[Row], leaders: Mapping[str, str]) -> list[str]:
    """What near-duplicates put in doubt: labels that contradict each other, given groups that part copies."""
    alike = _alike(rows, leaders)
    told = []
    mixed = sum(len(_strata(members)) > 1 for members in alike)
    if mixed:
        told.append(f"{mixed} cluster(s) of near-duplicates have cases of several strata: labels may be wrong")
    crossing = sum(len({row.split for row in members} - {UNLABELLED}) > 1 for members in alike)
    if crossing:
        told.append(f"{crossing} cluster(s) of near-duplicates cross splits, because given groups part them")
    return told


def _strata(members: Sequence[Row]) -> Counter[str]:
    return Counter(row.stratum for row in members if row.split != UNLABELLED)


def _alike(rows: Sequence[Row], leaders: Mapping[str, str]) -> list[list[Row]]:
    alike: dict[str, list[Row]] = {}
    for row in rows:
        alike.setdefault(leaders[row.id], []).append(row)
    return list(alike.values())
