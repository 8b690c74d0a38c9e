"""Which run a checkpoint belongs to: same code, same configuration, same inputs."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from components.core.digest import digest_values
from components.core.errors import BadInput


@dataclass(frozen=True)
class Identity:
    """What decides a stage's result.

    Attributes:
        stage: Its name.
        code: Digest of the installed code.
        config: Values of the keys it uses.
        inputs: Content digest by input port, and by `weights:<name>` of pretrained weights.
    """

    stage: str
    code: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]

    def dump(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @property
    def digest(self) -> str:
        """One digest of all of it."""
        return digest_values(self.dump())


def require_same(identity: Identity, found: Mapping[str, Any], where: str) -> None:
    """Refuse to continue the unfinished run of something else.

    Raises:
        BadInput: Naming every key that differs, with both values.
    """
    differences = list(_differences("", identity.dump(), found))
    if differences:
        raise BadInput(
            "unfinished training of another run is in the way; these differ:\n"
            + "\n".join(f"    {line}" for line in differences),
            where=where,
            remedy="use another output or store, or --restart to discard it",
        )


def require_exact(now: Mapping[str, str], found: Mapping[str, str], allow: bool) -> list[str]:
    """Compare the environments of a checkpoint and of this process.

    Returns:
        The differences, when they are allowed.

    Raises:
        BadInput: They differ and `allow` is false.
    """
    differences = list(_differences("", now, found))
    if differences and not allow:
        raise BadInput(
            "this environment cannot continue the run bit for bit; these differ:\n"
            + "\n".join(f"    {line}" for line in differences),
            where="the checkpoint's environment",
            remedy="resume where it was started, or pass --allow-inexact to accept other last digits",
        )
    return differences


def _differences(path: str, now: Any, found: Any) -> Iterator[str]:
    if isinstance(now, Mapping) and isinstance(found, Mapping):
        for key in sorted({*now, *found}):
            yield from _differences(f"{path}.{key}".lstrip("."), now.get(key), found.get(key))
    elif now != found:
        yield f"{path}: now {now!r}, in the checkpoint {found!r}"
