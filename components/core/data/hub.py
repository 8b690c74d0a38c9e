"""Data sets of the Hugging Face hub."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile

from components.core.data.remote import RemoteFile
from components.core.errors import BadInput, Temporary

TOKEN, ENDPOINT = "HF_TOKEN", "HF_ENDPOINT"
REFUSED = 400
BUSY = frozenset({408, 425, 429})
BROKEN = 500


class HubData:
    """A data set by its name, `ibrahimhamamci/CT-RATE`.

    The token comes from the variable HF_TOKEN alone, another server's address from HF_ENDPOINT.

    Args:
        name: Owner and name.
        revision: Branch, tag or commit; None takes the newest state.
    """

    def __init__(self, name: str, revision: str | None = None) -> None:
        self.name = name
        self.revision = revision
        # Without a token of its own the client would look for one on the disk.
        self._api = HfApi(endpoint=os.environ.get(ENDPOINT), token=os.environ.get(TOKEN) or False)

    def files(self) -> Iterator[RemoteFile]:
        """All files of the data set."""
        with self._translated():
            for entry in self._api.list_repo_tree(
                self.name, recursive=True, revision=self.revision, repo_type="dataset"
            ):
                if isinstance(entry, RepoFile):
                    yield RemoteFile(entry.path, entry.size)

    def fetch(self, file: RemoteFile, folder: Path) -> None:
        """Fetch one file; a download that broke off goes on where it was."""
        with self._translated():
            self._api.hf_hub_download(
                self.name,
                file.name,
                repo_type="dataset",
                revision=self.revision,
                local_dir=folder,
                force_download=(folder / file.name).exists(),  # of another size: the client would take it for whole
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        where = f"hf:{self.name}"
        try:
            yield
        except GatedRepoError as error:
            raise BadInput(
                "the data set asks for consent to its terms", where=where, remedy=f"agree on its page, and set {TOKEN}"
            ) from error
        except RepositoryNotFoundError as error:
            raise BadInput(
                "no such data set, or not without a token", where=where, remedy=f"correct the name, or set {TOKEN}"
            ) from error
        except HfHubHTTPError as error:
            status = error.response.status_code
            if REFUSED <= status < BROKEN and status not in BUSY:
                raise BadInput(
                    f"the hub refuses: {status}", where=where, remedy=f"correct the name, the revision or {TOKEN}"
                ) from error
            raise Temporary(f"the hub answers {status}", where=where) from error
        except (LocalEntryNotFoundError, ConnectionError, TimeoutError) as error:
            raise Temporary("the hub cannot be reached", where=where) from error
