"""Who belongs together, and which split everybody is in."""

from collections.abc import Sequence
from dataclasses import dataclass

from components.core.data.fingerprints import Fingerprint
from components.core.data.label_counts import Labels, signs
from components.core.data.near_duplicates import Grouping, infer_groups
from components.core.data.splits import UNLABELLED, Split, assign, assign_labels


@dataclass(frozen=True)
class Member:
    """What the division needs of a case.

    Attributes:
        id: Its id.
        group: Its group, if one is given.
        stratum: Label that splits keep in proportion.
        labelled: Whether it takes part in the ratios.
        print: Its fingerprint; None only where all groups are given.
        labels: Several labels, which then take the stratum's place in the division.
    """

    id: str
    group: str | None
    stratum: str
    labelled: bool
    print: Fingerprint | None
    labels: Labels | None = None


@dataclass(frozen=True)
class Division:
    """Row by row, what became of the members.

    Attributes:
        groups: Group of each.
        parts: Split of each; None for an unlabelled one that is left out.
        leaders: Smallest id among the near-duplicates of each; None where nobody looked for them.
    """

    groups: list[str]
    parts: list[str | None]
    leaders: list[str] | None


def divide(members: Sequence[Member], split: Split) -> Division:
    """Group and divide.

    Labelled members are divided by the ratios or folds. An unlabelled one is in the part `unlabelled`, unless its
    group, or its near-duplicates, hold a case of val, test or calibration: what is held out is not shown to `pretrain`
    under another name.

    Raises:
        BadInput: The labelled members cannot be divided.
    """
    grouping = _grouping(members)
    groups = grouping.groups
    rows = [row for row, member in enumerate(members) if member.labelled]
    parts: list[str | None] = [UNLABELLED] * len(members)
    for row, part in zip(
        rows, _assigned([groups[row] for row in rows], [members[row] for row in rows], split), strict=True
    ):
        parts[row] = part
    leaders = grouping.leaders or None
    kin = [{("group", group)} for group in groups]
    for row, leader in enumerate(grouping.leaders):
        kin[row].add(("like", leader))
    held_out = {key for row in rows if parts[row] != "train" for key in kin[row]}
    for row, member in enumerate(members):
        if not member.labelled and kin[row] & held_out:
            parts[row] = None
    return Division(groups, parts, leaders)


def _assigned(groups: Sequence[str], members: Sequence[Member], split: Split) -> list[str]:
    """Split of every labelled member."""
    if not members:
        return []
    labels = [member.labels for member in members if member.labels is not None]
    if labels:  # all have them, or none
        return assign_labels(groups, [signs(own) for own in labels], split)
    return assign(groups, [member.stratum for member in members], split)


def _grouping(members: Sequence[Member]) -> Grouping:
    """Given groups, and near-duplicate clusters for the cases without one."""
    given = [member.group for member in members]
    if None not in given:
        return Grouping([group for group in given if group is not None], [])
    prints = [member.print for member in members if member.print is not None]
    return infer_groups([member.id for member in members], given, prints)
