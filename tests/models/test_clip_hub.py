"""A hub model may be pinned to a commit of its repository; then exactly those files are built."""

import inspect
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from pydantic import ValidationError

from components.core.models import clip_build
from components.core.models.clip_config import HubClip, LocalClip
from tests.models.test_clip import local_folder

COMMIT = "9f341de24bfb00180f1b847274256e9b65a3a32e"


def test_a_pinned_model_is_built_from_the_files_of_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def snapshot(repository: str, *, revision: str, allow_patterns: list[str]) -> str:
        asked.append((repository, revision))
        return str(tmp_path)

    monkeypatch.setattr(clip_build, "snapshot_download", snapshot)
    folder = local_folder(tmp_path)
    pinned = HubClip(name="hf-hub:someone/model", revision=COMMIT).build(160).state_dict()
    assert asked == [("someone/model", COMMIT)]
    assert all(
        torch.equal(pinned[name], value) for name, value in LocalClip(folder=folder).build(160).state_dict().items()
    )


def test_only_the_pinned_commit_counts_as_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cached(repository: str, name: str, revision: str | None = None, **_: Any) -> str | None:
        return str(tmp_path) if revision == COMMIT else None

    monkeypatch.setattr(clip_build, "try_to_load_from_cache", cached)
    assert HubClip(revision=COMMIT).missing() == ""
    assert "not in the download cache" in HubClip().missing()


def test_the_hub_client_takes_a_revision() -> None:
    for function in (huggingface_hub.snapshot_download, huggingface_hub.try_to_load_from_cache):
        assert "revision" in inspect.signature(function).parameters


@pytest.mark.parametrize("revision", ["main", "9f341de", COMMIT.upper()])
def test_a_branch_or_a_short_digest_pins_nothing(revision: str) -> None:
    with pytest.raises(ValidationError, match="revision"):
        HubClip(revision=revision)
