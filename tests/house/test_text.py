"""Tracked text names no registry's host and no path of one person's machine."""

import re
from pathlib import Path

from source import ROOT, tracked_files

# Written in pieces: this file is searched too.
HOSTS = (
    "py" + "pi.org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "ana" + "conda.org",
    "rub" + "ygems.org",
    "crates" + ".io",
)
HOMES = re.compile(r"(?<![\w.}$-])/(?:home|Users)/[a-z]\w*/|(?<![\w.}$-])/ro" + r"ot/|\b[A-Z]:\\Users\\", re.IGNORECASE)
LEAST_PARTS = 3
"""A shorter checkout path (`/app`) is an ordinary word in a Dockerfile."""


def texts() -> dict[Path, str]:
    found = {}
    for file in tracked_files():
        data = (ROOT / file).read_bytes()
        if b"\0" not in data:
            found[file] = data.decode("utf-8")  # a text that is not UTF-8 is an error too
    return found


def test_no_registry_is_named() -> None:
    assert [(str(file), host) for file, text in texts().items() for host in HOSTS if host in text.lower()] == []


def test_no_path_of_a_machine() -> None:
    own = [str(ROOT)] if len(ROOT.parts) >= LEAST_PARTS else []
    found = [
        (str(file), number)
        for file, text in texts().items()
        for number, line in enumerate(text.splitlines(), start=1)
        if HOMES.search(line) or any(path in line for path in own)
    ]
    assert found == []


def test_lines_end_like_unix_and_files_with_a_newline() -> None:
    assert [str(file) for file, text in texts().items() if "\r" in text or (text and not text.endswith("\n"))] == []
