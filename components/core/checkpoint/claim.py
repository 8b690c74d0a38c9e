"""What a lease says of its holder, and the error that names it."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

from components.core.checkpoint.document import decode_document, encode_document
from components.core.checkpoint.identity import Process, this_process
from components.core.errors import BadInput
from components.core.store import Conflict

KEY = "lease.json"
LIMIT = 1 << 16


@dataclass(frozen=True)
class Claim:
    """A writer's claim to a run.

    Attributes:
        owner: The process.
        ttl: Seconds it may stay silent before it is taken for dead.
        since: UTC, ISO 8601.
        token: Tells two claims of one process apart.
        renewals: How often it was renewed.
        released: It was given up.
    """

    owner: Process = field(default_factory=this_process)
    ttl: float = 0.0
    since: str = field(default_factory=lambda: datetime.now(tz=UTC).isoformat(timespec="seconds"))
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    renewals: int = 0
    released: bool = False

    def encode(self) -> bytes:
        return encode_document(
            {
                "writer": str(self.owner),
                "owner": self.owner.as_values(),
                "ttl": self.ttl,
                "since": self.since,
                "token": self.token,
                "renewals": self.renewals,
                "released": self.released,
            }
        )

    def held(self, where: str) -> Conflict:
        """The error for everybody else."""
        return Conflict(
            f"another run is writing here: {self.owner}, since {self.since}",
            where=where,
            remedy="wait for it, stop it, or give this run another output or store",
        )


def decode_claim(data: bytes, where: str) -> Claim:
    """The inverse of `Claim.encode`. Raises BadInput."""
    values = decode_document(data, where)
    kinds: dict[str, type] = {"ttl": float, "since": str, "token": str, "renewals": int, "released": bool}
    if any(not isinstance(values.get(key), kind) for key, kind in kinds.items()):
        raise BadInput("not a lease", where=where, remedy="delete it if no run is alive")
    owner = Process.from_values(values.get("owner"))
    return Claim(owner, values["ttl"], values["since"], values["token"], values["renewals"], values["released"])
