"""Errors of other processes of a launch: told as text, and raised again as what they were."""

import json
from collections.abc import Iterator

from components.core.errors import Temporary, ThawError


class Lost(Temporary):
    """Another process of the launch is gone."""


class PeerFailed(ThawError):
    """Another process of the launch failed with an error that is not one of ours: a bug."""


def describe(error: Exception) -> str:
    """An error as text."""
    if not isinstance(error, ThawError):
        return json.dumps({"class": "", "what": f"{type(error).__name__}: {error}"})
    plain = next(cls for cls in type(error).__mro__ if "__init__" not in vars(cls) or cls is ThawError)
    return json.dumps({"class": plain.__name__, "what": error.what, "where": error.where, "remedy": error.remedy})


def rebuild(text: str, rank: int) -> ThawError:
    """The error that process `rank` described: of the same class, where the class is one of ours."""
    told = json.loads(text)
    cls = next((cls for cls in _kinds_of(ThawError) if cls.__name__ == told["class"]), None)
    if cls is None:
        return PeerFailed(told["what"], where=f"process {rank} of the launch", remedy="look at its log")
    return cls(told["what"], where=told["where"], remedy=told["remedy"])


def _kinds_of(cls: type[ThawError]) -> Iterator[type[ThawError]]:
    yield cls
    for each in cls.__subclasses__():
        yield from _kinds_of(each)
