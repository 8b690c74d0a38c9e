"""What a container is told, and what is kept from it; with no Docker at hand, except where a test says so."""

import gc
from pathlib import Path

import pytest

from components.core.errors import BadInput
from pipelines.runner.containers import AsContainers

USER = "1000:1000"


def test_containers_are_hardened(tmp_path: Path) -> None:
    told = AsContainers().options(tmp_path, USER)
    assert told["read_only"] is True
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges"]
    assert told["user"] == USER
    assert told["mounts"] == [] and told["device_requests"] == []
    assert list(told["tmpfs"]) == ["/tmp"]


def test_data_is_read_only_and_gpus_are_asked_for(tmp_path: Path) -> None:
    told = AsContainers(tmp_path / "pictures", gpus=-1).options(tmp_path, USER)
    (mount,) = told["mounts"]
    assert (mount["Source"], mount["Target"], mount["ReadOnly"]) == (*[str(tmp_path / "pictures")] * 2, True)
    assert told["device_requests"][0]["Count"] == -1


def test_only_named_variables_are_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "for the store")
    monkeypatch.setenv("GITHUB_TOKEN", "for nobody here")
    monkeypatch.setenv("AWS_PROFILE", "names a file that containers do not have")
    handed = AsContainers().options(tmp_path, USER)["environment"]
    assert handed["AWS_SECRET_ACCESS_KEY"] == "for the store"
    assert {"GITHUB_TOKEN", "AWS_PROFILE", "PATH", "HOME"} & set(handed) == set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_docker_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    with pytest.raises(BadInput, match="does not answer") as caught:
        AsContainers().runner(tmp_path)
    assert "nothing.sock" in str(caught.value)
    del caught
    gc.collect()  # its client leaves a socket open when it cannot connect, which would be a later test's warning
