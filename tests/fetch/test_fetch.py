"""`thaw fetch`: some volumes of a split from the hub or from S3, whole, resumable, and only where there is room."""

import shutil
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import NAME, Hub

from components.core.data.remote import RemoteFile, choose, plan
from components.core.errors import BadInput
from components.core.store.open import open_store
from pipelines.cli import main
from pipelines.commands_fetch import open_source
from tests.store.servers import BUCKET

FOLDER = "dataset/train"
TABLES = {
    "dataset/multi_abnormality_labels/train_predicted_labels.csv": b"VolumeName\n",
    "dataset/multi_abnormality_labels/valid_predicted_labels.csv": b"VolumeName\n",
    "dataset/metadata/train_metadata.csv": b"VolumeName\n",
}
VOLUMES = {
    f"dataset/{split}/{split}_{n}/{split}_{n}_a/{split}_{n}_a_1.nii.gz": bytes([n]) * (100 + n)
    for split in ("train", "valid")
    for n in (1, 2, 10)
}
FILES = {**TABLES, **VOLUMES, "README.md": b"# scans\n"}
FIRST_TWO = [name for name in VOLUMES if "train_1/" in name or "train_2/" in name]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    served = Hub(dict(FILES))
    server, address = served.start()
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    yield served
    server.shutdown()
    server.server_close()


def ask(out: Path, *more: str) -> int:
    return main(["fetch", f"hf:{NAME}", "--out", str(out), "--split", "train", "--volumes", "2", *more])


def there(out: Path) -> dict[str, bytes]:
    files = [path for path in out.rglob("*") if path.is_file() and ".cache" not in path.parts]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def expected() -> dict[str, bytes]:
    return {name: FILES[name] for name in [*FIRST_TWO, *(name for name in TABLES if "/train_" in name)]}


def test_a_split_and_a_number_of_volumes_come_with_their_tables(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "raw"
    assert ask(out) == 0
    assert there(out) == expected()
    told = capsys.readouterr().out
    assert "4 files of" in told and "of the disk are free" in told


def test_it_goes_on_where_it_was_and_takes_nothing_twice(hub: Hub, tmp_path: Path) -> None:
    out = tmp_path / "raw"
    assert ask(out) == 0
    hub.asked.clear()
    assert ask(out) == 0 and hub.asked == []
    torn = out / FIRST_TWO[0]
    torn.write_bytes(torn.read_bytes()[:10])
    assert ask(out) == 0
    assert hub.asked == [FIRST_TWO[0]] and there(out) == expected()


def test_the_plan_is_told_and_nothing_fetched(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(tmp_path / "raw", "--plan") == 0
    assert hub.asked == [] and not (tmp_path / "raw").exists()
    assert "4 of" in capsys.readouterr().out


def test_what_the_disk_cannot_hold_is_not_begun(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**30, 2**30 - 5, 5))
    assert ask(tmp_path / "raw") == 2
    assert hub.asked == [] and "fewer --volumes" in capsys.readouterr().err


def test_the_token_comes_from_the_environment_and_is_told_to_nobody(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.token = "hf_secret_of_the_test"
    assert ask(tmp_path / "raw") == 2
    assert "HF_TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert ask(tmp_path / "raw") == 0
    shown = capsys.readouterr()
    assert hub.token not in shown.out + shown.err


def test_a_hub_in_trouble_is_asked_again_later(hub: Hub, tmp_path: Path) -> None:
    hub.broken = 500
    assert ask(tmp_path / "raw") == 75
    hub.broken = 0
    assert ask(tmp_path / "raw") == 0


def test_what_is_not_there_is_named(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "raw")]
    assert main(["fetch", f"hf:{NAME}", *out, "--split", "training"]) == 2
    assert "'training'" in (told := capsys.readouterr().err) and "valid" in told
    assert main(["fetch", "hf:owner/other", *out]) == 2
    assert main(["fetch", "ftp://somewhere", *out]) == 2
    assert "hf:OWNER/NAME" in capsys.readouterr().err


def test_the_second_release_has_the_tables_of_the_first() -> None:
    names = ["dataset/train_fixed/train_1/train_1_a/train_1_a_1.nii.gz", *TABLES, *VOLUMES]
    chosen = choose([RemoteFile(name, 1) for name in names], "train_fixed", None)
    assert [file.name for file in chosen] == [*sorted(name for name in TABLES if "/train_" in name), names[0]]


def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="leads out"):
        plan([RemoteFile("../outside.nii.gz", 3)], tmp_path / "raw")


@pytest.fixture
def bucket(s3_environment: str) -> str:
    """A prefix that holds the files."""
    address = f"s3://{BUCKET}/raw/scans"
    store = open_store(address)
    for name, data in FILES.items():
        store.put(name, data)
    return address


def test_objects_below_a_prefix(tmp_path: Path, bucket: str) -> None:
    out = tmp_path / "raw"
    assert main(["fetch", bucket, "--out", str(out), "--split", "train", "--volumes", "2"]) == 0
    assert there(out) == expected()
    assert sorted(file.name for file in open_source(bucket).files()) == sorted(FILES)
