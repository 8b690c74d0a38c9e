"""`failed.json`: a permanent failure, so that an orchestrator's retry of the same run stops at once.

Exit codes do not survive every launcher; this does.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from components.core.checkpoint.document import decode_document, encode_document
from components.core.checkpoint.identity import this_process
from components.core.errors import BadInput
from components.core.store import NotFound, Store

KEY = "failed.json"
_LIMIT = 1 << 20


@dataclass(frozen=True)
class Failure:
    """Why a run cannot succeed.

    Attributes:
        digest: Of the code, configuration and inputs that fail.
        reason: What was said.
    """

    digest: str
    reason: str


def mark_failed(store: Store, failure: Failure | None) -> None:
    """Record a permanent failure; None removes the record."""
    if failure is None:
        store.delete(KEY)
        return
    now = datetime.now(tz=UTC).isoformat(timespec="seconds")
    writer = str(this_process())
    values = {"digest": failure.digest, "reason": failure.reason, "created": now, "writer": writer}
    store.put(KEY, encode_document(values))


def failed(store: Store) -> Failure | None:
    """The failure recorded last. Raises BadInput where the record is damaged."""
    try:
        data = store.get(KEY, limit=_LIMIT)
    except NotFound:
        return None
    where = f"{store.uri}/{KEY}"
    values = decode_document(data, where)
    digest, reason = values.get("digest"), values.get("reason")
    if not isinstance(digest, str) or not isinstance(reason, str):
        raise BadInput("not a record of a failure", where=where, remedy="delete it")
    return Failure(digest, reason)


def refuse_failed(store: Store, digest: str) -> None:
    """Stop a run that has failed for good before. Raises BadInput."""
    failure = failed(store)
    if failure is not None and failure.digest == digest:
        raise BadInput(
            f"this very run has failed before, for good: {failure.reason}",
            where=f"{store.uri}/{KEY}",
            remedy="correct the cause; with another configuration or input it is another run, which takes --restart or"
            " another output; --restart also tries this very run again",
        )
