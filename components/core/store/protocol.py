"""The store protocol: a flat space of keys and bytes, local or `s3://`, with conditional writes."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from components.core.errors import BadInput

_PART = r"[A-Za-z0-9_=+][A-Za-z0-9._=+-]*"
_KEY = re.compile(rf"{_PART}(/{_PART})*")
_NAMED = 1 << 20


@dataclass(frozen=True)
class Entry:
    """An object without its data.

    Attributes:
        key: Key below the store's address.
        size: Bytes.
        version: Opaque; changes with every write. What `put_if_match` compares.
        age: Seconds since the last write, by the store's own clock (so hosts need not agree on the time).
            Whole seconds on S3.
    """

    key: str
    size: int
    version: str
    age: float


@dataclass(frozen=True)
class Versioned:
    """Data and the version it was read at."""

    data: bytes
    version: str


class Store(Protocol):
    """Where checkpoints and other state live.

    Every method may raise `BadInput` (access denied, no such bucket, a key that is not one) and `Temporary`
    (network or disk trouble that outlasted the retries). Keys are parts of `A-Za-z0-9._=+-` joined by `/`;
    a part does not start with `.` or `-`. Implementations are safe to use from several threads.
    """

    @property
    def uri(self) -> str:
        """The address that `open_store` opens."""

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        """The data of an object.

        Raises:
            NotFound: There is no such object.
            TooLarge: It is larger than `limit` bytes.
        """

    def get_versioned(self, key: str, *, limit: int | None = None) -> Versioned:
        """Like `get`, with the version to give to `put_if_match`."""

    def put(self, key: str, data: bytes) -> str:
        """Write, whatever is there; whole or not at all. Returns the version."""

    def put_if_absent(self, key: str, data: bytes) -> str:
        """Write if there is no such object, and return its version.

        An object with equal data counts as written by this call: that is what a lost response looks like.
        Needs `conditional_writes()`.

        Raises:
            Conflict: There is another object, named by its writer.
        """

    def put_if_match(self, key: str, data: bytes, version: str) -> str:
        """Write if the object still has this version, and return the new one.

        An object with equal data counts as written by this call. A key that is written so should be written
        by the conditional methods alone. Needs `conditional_writes()`.

        Raises:
            Conflict: It has another version by now, or is gone.
        """

    def head(self, key: str) -> Entry:
        """What `list` would say of one object. Raises NotFound."""

    def list(self, prefix: str = "") -> Sequence[Entry]:
        """All objects whose key starts with `prefix`, sorted by key."""

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""

    def conditional_writes(self) -> bool:
        """Does the backend refuse what a condition forbids? Tried once on the real backend, then remembered."""

    def tidy(self, grace: float) -> int:
        """Remove writes begun more than `grace` seconds ago and never finished. Returns how many."""


def check_key(key: str) -> str:
    """The key itself. Raises BadInput where it could leave the store or is not portable."""
    if not _KEY.fullmatch(key) or len(key) > 512:
        raise BadInput(
            "not a key of a store", where=repr(key[:200]), remedy="join parts of letters, digits and ._=+- by /"
        )
    return key


def check_prefix(prefix: str) -> str:
    """The prefix itself: empty, or a key with or without a `/` behind it. Raises BadInput."""
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix


def writer_of(data: bytes) -> str:
    """Who wrote an object: the `writer` of a JSON mapping, as all conditional writes of Thaw carry it."""
    if len(data) > _NAMED:
        return "an unnamed writer"
    try:
        document = json.loads(data)
    except ValueError:
        return "an unnamed writer"
    writer = document.get("writer") if isinstance(document, dict) else None
    return writer if isinstance(writer, str) else "an unnamed writer"
