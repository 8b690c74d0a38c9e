"""Raw data below an `s3://` prefix, or in any other store."""

from collections.abc import Iterator
from pathlib import Path

from components.core.data.remote import RemoteFile
from components.core.errors import BadInput
from components.core.store.durable import make_folder, replace
from components.core.store.errors import NotFound
from components.core.store.open import open_store


class BucketData:
    """The objects below a prefix. Credentials and server come from the environment, as for checkpoints.

    Args:
        uri: `s3://bucket/prefix`.
    """

    def __init__(self, uri: str) -> None:
        self._store = open_store(uri)

    def files(self) -> Iterator[RemoteFile]:
        """All objects."""
        for entry in self._store.list():
            yield RemoteFile(entry.key, entry.size)

    def fetch(self, file: RemoteFile, folder: Path) -> None:
        """Fetch one object. It passes through memory whole: volumes are some 100 MB at most."""
        try:
            data = self._store.get(file.name, limit=file.size)
        except NotFound as error:
            raise BadInput("it is gone", where=f"{self._store.uri}/{file.name}", remedy="fetch again") from error
        path = folder / file.name
        make_folder(path.parent)
        replace(path, data)
