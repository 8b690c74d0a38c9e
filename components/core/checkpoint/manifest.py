"""What a checkpoint is made of: an immutable JSON document whose name carries its own digest."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.core.checkpoint.document import LIMIT, decode_document, encode_document
from components.core.digest import digest_bytes
from components.core.errors import BadInput
from components.core.store import NotFound, Store, TooLarge

SCHEMA = 1
FOLDER = "manifests/"
BLOBS = "blobs/"

_NAME = re.compile(r"(\d{6})-(\d{8})-step(\d{10})-([0-9a-f]{16})")


class Damaged(BadInput):
    """A checkpoint that is not, or no longer, what was committed."""


@dataclass(frozen=True)
class Blob:
    """A group of tensors in the store.

    Attributes:
        digest: sha256 of its bytes, and its name.
        size: Bytes.
    """

    digest: str
    size: int

    @property
    def key(self) -> str:
        return BLOBS + self.digest


@dataclass(frozen=True)
class Manifest:
    """A committed checkpoint without its tensors.

    Attributes:
        attempt: Number of the writer among all that wrote under this prefix; later ones have greater numbers.
        sequence: Number of the checkpoint within the attempt.
        step: Optimiser step.
        created: UTC, ISO 8601.
        writer: The process that wrote it.
        parent: Name of the checkpoint before it.
        tags: Why it is kept, for example `best`.
        groups: Tensor groups by name.
        meta: Whatever else the writer needs to go on.
    """

    attempt: int
    sequence: int
    step: int
    created: str
    writer: str
    parent: str | None
    tags: tuple[str, ...]
    groups: Mapping[str, Blob]
    meta: Mapping[str, Any]

    def encode(self) -> tuple[str, bytes]:
        """Name and bytes. Names sort by attempt, then sequence."""
        data = encode_document(
            {
                "schema": SCHEMA,
                "attempt": self.attempt,
                "sequence": self.sequence,
                "step": self.step,
                "created": self.created,
                "writer": self.writer,
                "parent": self.parent,
                "tags": self.tags,
                "groups": {name: {"digest": blob.digest, "size": blob.size} for name, blob in self.groups.items()},
                "meta": self.meta,
            }
        )
        return f"{self.attempt:06d}-{self.sequence:08d}-step{self.step:010d}-{digest_bytes(data)[:16]}", data


def attempt_of(name: str) -> int | None:
    """The attempt that a manifest's name tells; None for a name that is none."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def names(store: Store) -> list[str]:
    """Names of all manifests of a store, oldest first."""
    found = [entry.key.removeprefix(FOLDER) for entry in store.list(FOLDER)]
    return sorted(name for name in found if _NAME.fullmatch(name))


def read_manifest(store: Store, name: str) -> Manifest:
    """Read and verify a manifest.

    Raises:
        Damaged: It is missing, or its bytes are not those its name was made of.
        BadInput: Its name is none, or a newer version of Thaw wrote it.
    """
    where = f"{store.uri}/{FOLDER}{name}"
    match = _NAME.fullmatch(name)
    if not match:
        raise BadInput("not the name of a checkpoint", where=where, remedy="see the names in the folder above it")
    try:
        data = store.get(FOLDER + name, limit=LIMIT)
    except NotFound as error:
        raise Damaged("the manifest is missing", where=where, remedy="choose another checkpoint") from error
    except TooLarge as error:
        raise Damaged(f"the manifest is damaged: {error.what}", where=where, remedy="choose another one") from error
    if digest_bytes(data)[:16] != match[4]:
        raise Damaged("the manifest is damaged: its digest differs", where=where, remedy="choose another checkpoint")
    return _parsed(decode_document(data, where), where)


def _parsed(values: dict[str, Any], where: str) -> Manifest:
    if values.get("schema") != SCHEMA:
        raise BadInput(
            f"checkpoint of schema {values.get('schema')!r}, this version reads {SCHEMA}",
            where=where,
            remedy="use the version of Thaw that wrote it, or --restart",
        )
    groups = {name: Blob(blob["digest"], blob["size"]) for name, blob in values["groups"].items()}
    return Manifest(
        attempt=values["attempt"],
        sequence=values["sequence"],
        step=values["step"],
        created=values["created"],
        writer=values["writer"],
        parent=values["parent"],
        tags=tuple(values["tags"]),
        groups=groups,
        meta=values["meta"],
    )


def read_blob(store: Store, blob: Blob) -> bytes:
    """Read and verify the bytes of a tensor group. Raises Damaged."""
    where = f"{store.uri}/{blob.key}"
    try:
        data = store.get(blob.key, limit=blob.size)
    except NotFound as error:
        raise Damaged("a blob is missing", where=where, remedy="choose another checkpoint") from error
    except TooLarge as error:
        raise Damaged(f"a blob is damaged: {error.what}", where=where, remedy="choose another checkpoint") from error
    if len(data) != blob.size or digest_bytes(data) != blob.digest:
        raise Damaged("a blob is damaged: its digest differs", where=where, remedy="choose another checkpoint")
    return data
