"""The source (patient, leaf) of a picture from its name."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from components.core.data.layouts.found import Found
from components.core.errors import BadInput


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return pattern


SourcePattern = Annotated[str, AfterValidator(_compiles)]
"""Regular expression searched in a case's id; its first group (or the whole match) is the source."""


def source_of(found: Found, pattern: SourcePattern | None) -> str | None:
    """What the layout says, else what the pattern finds in the id; None where there is neither.

    Raises:
        BadInput: The pattern does not match.
    """
    if found.group or pattern is None:
        return found.group
    return matched(pattern, found.id, found.image)


def matched(pattern: SourcePattern, case: str, file: Path) -> str:
    """What a pattern finds in a case's id.

    Raises:
        BadInput: The pattern does not match.
    """
    match = re.search(pattern, case)
    if match is None:
        raise BadInput(
            f"data.group_pattern {pattern!r} does not match the id {case!r}",
            where=str(file),
            remedy="correct the pattern, or leave it out to infer groups",
        )
    return match[1] if match.re.groups else match[0]
