"""Finished stages by content: what a run with the same code, values and inputs made is fetched instead of made again.

Layout of a store of results: `blobs/<sha256>` (a file each) and `finished/<stage>/<digest>`, a manifest named by the
digest of the run's record. Blobs first, then the manifest; the reader verifies both. Nothing is ever wrong by being
lost: what is missing or damaged is made again, so old objects may be deleted at any time.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from components.core.checkpoint.document import LIMIT, decode_document, encode_document
from components.core.digest import digest_bytes, digest_values
from components.core.errors import BadInput, ThawError
from components.core.outputs import digests_of, discard, paths_of, publish, unfinished
from components.core.store import NotFound, Store, TooLarge, durable, open_store

SCHEMA = 1

log = logging.getLogger(__name__)


class Damaged(BadInput):
    """A kept result that is not, or no longer, what was kept."""


@dataclass(frozen=True)
class Results:
    """The finished stages below one address, which any number of runs share.

    Attributes:
        store: Opened at that address.
    """

    store: Store

    def fetch(self, record: Mapping[str, Any], outputs: Any) -> bool:
        """Put the outputs of a finished run in place.

        Args:
            record: What the run is told by.
            outputs: Where they go; not there is no reason to fail, damaged in the store neither.

        Returns:
            False where no run with this record was kept whole: it has to be made.

        Raises:
            BadInput: The store refuses to be read.
            Temporary: It does not answer; making the outputs instead could cost days.
        """
        staged = unfinished(outputs)
        try:
            manifest = self._manifest(record)
            if manifest is None:
                return False
            self._write(manifest, staged)
            publish(staged, outputs, dict(record))
        except Damaged as error:
            log.warning("a kept result cannot be used, so the stage runs: %s", error)
            return False
        finally:
            for path in paths_of(staged).values():
                discard(path)
        log.info("%s: finished before with the same code, values and inputs; fetched from %s", *self._named(record))
        return True

    def keep(self, record: Mapping[str, Any], outputs: Any) -> None:
        """Keep the outputs of a run that has just finished; a store that fails only costs the next run its time."""
        try:
            ports = {name: self._put(path) for name, path in paths_of(outputs).items()}
            manifest = {"schema": SCHEMA, "record": record, "outputs": digests_of(outputs), "ports": ports}
            self.store.put(_key(record), encode_document(manifest))
        except ThawError as error:
            log.warning("%s: the result could not be kept in %s: %s", *self._named(record), error)

    def _named(self, record: Mapping[str, Any]) -> tuple[str, str]:
        return str(record["stage"]), self.store.uri

    def _put(self, path: Path) -> dict[str, Any]:
        """Write an output's files. Even over blobs of the same name: those may be damaged."""
        files = {}
        for name, file in _files(path):
            data = file.read_bytes()
            files[name] = {"digest": digest_bytes(data), "size": len(data)}
            self.store.put(f"blobs/{files[name]['digest']}", data)
        return {"folder": path.is_dir(), "files": files}

    def _manifest(self, record: Mapping[str, Any]) -> Mapping[str, Any] | None:
        key = _key(record)
        where = f"{self.store.uri}/{key}"
        try:
            data = self.store.get(key, limit=LIMIT)
        except NotFound:
            return None
        except TooLarge as error:
            raise Damaged("the manifest of a result is too large", where=where) from error
        try:
            manifest = decode_document(data, where)
        except BadInput as error:
            raise Damaged(error.what, where=error.where or where) from error
        if manifest.get("schema") != SCHEMA or manifest.get("record") != record:
            raise Damaged("the manifest of a result is another run's, or another version's", where=where)
        return manifest

    def _write(self, manifest: Mapping[str, Any], staged: Any) -> None:
        where = f"{self.store.uri}/{_key(manifest['record'])}"
        try:
            for name, path in paths_of(staged).items():
                self._write_port(manifest["ports"][name], path)
            if digests_of(staged) != manifest["outputs"]:
                raise Damaged("the files of a result are not those that were kept", where=where)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Damaged(f"the manifest of a result lacks {error}", where=where) from error

    def _write_port(self, port: Mapping[str, Any], path: Path) -> None:
        if port["folder"]:
            path.mkdir(parents=True)
        elif set(port["files"]) != {""}:
            raise ValueError(f"the one file of {path.name}")
        for name, blob in port["files"].items():
            target = path / _inside(name) if port["folder"] else path
            with durable.explained(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self._read(blob["digest"], int(blob["size"])))

    def _read(self, digest: str, size: int) -> bytes:
        where = f"{self.store.uri}/blobs/{digest}"
        try:
            data = self.store.get(f"blobs/{digest}", limit=size)
        except (NotFound, TooLarge) as error:
            raise Damaged(f"a file of a result is missing or damaged: {error.what}", where=where) from error
        if digest_bytes(data) != digest:
            raise Damaged("a file of a result is damaged: its digest differs", where=where)
        return data


def open_results(uri: str | None) -> Results | None:
    """The results at an address; None where none is given. Raises BadInput for what is no address."""
    return None if uri is None else Results(open_store(uri))


def _key(record: Mapping[str, Any]) -> str:
    return f"finished/{record['stage']}/{digest_values(record)}"


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Relative name and place of every file of an output; a file that is the output itself has no name of its own."""
    if path.is_file():
        yield "", path
        return
    for file in sorted(path.rglob("*")):
        if file.is_file():
            yield file.relative_to(path).as_posix(), file


def _inside(name: str) -> PurePosixPath:
    """A relative name that stays below its folder. Raises ValueError."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"a name inside its folder: {name!r}")
    return path
