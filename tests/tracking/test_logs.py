"""No secret reaches a log, and what is printed fits its place."""

import io
import logging
from collections.abc import Iterator

import pytest
from rich.console import Console

from components.core.tracking.logs import HIDDEN, redact, set_up_logging
from components.core.tracking.overview import RunPlan, RunResult, plan_table, result_table, show_bytes
from components.core.tracking.progress import PhaseProgress, show_duration

KEY_ID = "AKIA" + "IOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"


@pytest.fixture
def plain_logging() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    set_up_logging("info")
    yield
    for handler in [handler for handler in root.handlers if handler.get_name() == "thaw"]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"using key {KEY_ID} now", KEY_ID),
        (f"aws_secret_access_key = {SECRET}", SECRET),
        (f'{{"SecretAccessKey": "{SECRET}", "x": 1}}', SECRET),
        (f"AWS_SESSION_TOKEN={SECRET} thaw run", SECRET),
        ("GET https://host/x?X-Amz-Signature=0123abcd&y=1", "0123abcd"),
        ("https://me:hunter2@host/path", "hunter2"),
        ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
        ("token hf_" + "abcdefghijklmnopqrstuvwx", "abcdefghijklmnopqrstuvwx"),
    ],
)
def test_secrets_are_redacted(text: str, secret: str) -> None:
    cleaned = redact(text)
    assert secret not in cleaned
    assert HIDDEN in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "token ids of 12 prompts, context 256",
        "tokens=196, tokenizer: PubMedBERT, text tokens: 256",
        "s3://bucket/prefix and https://host:9000/path@2",
        "warmup: step 3/20, loss 0.5000, 12.0 samples/s, 42 s left",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact(text) == text


@pytest.mark.usefixtures("plain_logging")
def test_log_lines_and_tracebacks_are_redacted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "an-odd-looking-secret")
    log = logging.getLogger("components.somewhere")
    log.info("the store said %s", f"no to {KEY_ID}")
    try:
        raise RuntimeError("refused an-odd-looking-secret")
    except RuntimeError:
        log.exception("upload failed")
    err = capsys.readouterr().err
    assert "the store said no to [redacted]" in err
    assert "RuntimeError: refused [redacted]" in err
    assert KEY_ID not in err


@pytest.mark.usefixtures("plain_logging")
def test_setting_up_twice_logs_once(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("info")
    logging.getLogger("components").info("only once")
    assert capsys.readouterr().err.count("only once") == 1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_progress_without_a_terminal_is_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    screen = Console(file=io.StringIO(), force_terminal=False)
    with caplog.at_level(logging.INFO):
        progress = PhaseProgress("warmup", total=130, done=10, console=screen, clock=clock)
        for step in range(11, 51):
            clock.now += 0.5
            progress.step(step, samples=4, loss=0.125)
        progress.close()
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "warmup: step 30/130, loss 0.1250, 8.0 samples/s, 50 s left",
        "warmup: step 50/130, loss 0.1250, 8.0 samples/s, 40 s left",
    ]


def test_progress_on_a_terminal_is_a_bar() -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=120)
    progress = PhaseProgress("warmup", total=4, done=0, console=screen)
    progress.step(2, samples=8, loss=0.5)
    progress.close()
    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    assert "2/4" in shown
    assert "loss 0.5000" in shown
    assert "samples/s" in shown


def render(table: object) -> list[str]:
    screen = Console(file=io.StringIO(), width=80)
    screen.print(table)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue().splitlines()


def test_tables_fit_one_screen() -> None:
    many = {f"vision.blocks.{index}": 7_087_872 for index in range(12)}
    plan = RunPlan(
        "freqmedclip",
        "partial_unfreeze",
        "70 train, 15 val",
        many,
        5,
        200,
        "cpu fp32",
        "filled now",
        10**9,
        10**11,
        "step 40",
    )
    lines = render(plan_table(plan))
    assert len(lines) <= 24
    assert any("about 1 GB (100 GB free)" in line for line in lines)
    assert any("filled now" in line for line in lines)
    assert any("and 4 more" in line for line in lines)
    result = RunResult("freqmedclip · warmup", "finished", 65.0, 100, 800, 3.0, 5, 15, 2, dict.fromkeys(many, 0.5))
    lines = render(result_table(result))
    assert len(lines) <= 24
    assert any("12.3 samples/s" in line for line in lines)
    assert any("5 of 20 frozen features read" in line for line in lines)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert show_duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_600, "1 MB"), (1_234_000_000, "1.23 GB")]
)
def test_sizes(count: int, shown: str) -> None:
    assert show_bytes(count) == shown
