"""Does a backend refuse what a condition forbids? Some accept the header and write all the same."""

import logging
import uuid
from typing import Protocol

from components.core.errors import BadInput
from components.core.store.errors import Conflict

log = logging.getLogger(__name__)


class Conditional(Protocol):
    """The part of a store that the probe tries."""

    @property
    def uri(self) -> str: ...

    def put_if_absent(self, key: str, data: bytes) -> str: ...

    def put_if_match(self, key: str, data: bytes, version: str) -> str: ...

    def put(self, key: str, data: bytes) -> str: ...

    def delete(self, key: str) -> None: ...


def probe_conditional_writes(store: Conditional) -> bool:
    """Try both conditions on an object of its own name, which is removed again.

    Raises:
        BadInput: The store cannot even be written to.
        Temporary: It does not answer.
    """
    key = f"probe-{uuid.uuid4().hex}"
    first = store.put(key, b"first")
    try:
        works = _refuses_existing(store, key) and _refuses_changed(store, key, first)
    finally:
        store.delete(key)
    if not works:
        log.warning("%s knows no conditional writes: a second writer can be noticed, not fenced out", store.uri)
    return works


def _refuses_existing(store: Conditional, key: str) -> bool:
    try:
        store.put_if_absent(key, b"second")
    except Conflict:
        return True
    except BadInput:  # not implemented: the plain write just before was allowed
        return False
    return False


def _refuses_changed(store: Conditional, key: str, first: str) -> bool:
    try:
        store.put_if_match(key, b"third", first)
    except (Conflict, BadInput):
        return False
    try:
        store.put_if_match(key, b"fourth", first)
    except Conflict:
        return True
    return False
