"""What the command line says of a run: errors without secrets, and values by the name of where they come from."""

from pathlib import Path

import pytest
import yaml

from components.cli.main import parser, run_command
from components.core.errors import BadInput
from pipelines import local
from pipelines.cli import main


def test_an_error_tells_no_secret(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HF_TOKEN", "abcdefgh-the-literal")
    top, commands = parser("thaw")

    def fail(_: object) -> int:
        raise BadInput(
            "the server says no to abcdefgh-the-literal",
            where="s3://user:hunter22@host/bucket",
            remedy="check password=correct-horse",
        )

    commands.add_parser("fail").set_defaults(handler=fail)
    assert run_command(top, ["fail"]) == 2
    said = capsys.readouterr().err
    assert "the server says no" in said and "bucket" in said
    for secret in ("abcdefgh-the-literal", "hunter22", "correct-horse"):
        assert secret not in said


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "tiny"),
        (["--size", "demo"], "demo"),
        (["--params", "mine.yaml"], "mine.yaml"),
        (["--params", "sized.yaml", "--size", "small"], "sized.yaml, small"),
    ],
)
def test_a_run_is_named_after_its_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    own = {"recipe": {"name": "freqmedclip"}}
    Path("mine.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
    Path("sized.yaml").write_text(yaml.safe_dump({"shared": own, "small": {}}), encoding="utf-8")
    seen: list[local.Run] = []

    def stop(run: local.Run) -> None:
        seen.append(run)
        raise BadInput("stopped here")

    monkeypatch.setattr(local, "run_all", stop)
    assert main(["run", "freqmedclip", *words, "--out", "out"]) == 2
    assert [run.size for run in seen] == [named]
