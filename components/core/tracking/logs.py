"""Log set-up: the standard library's loggers on stderr, with secrets taken out of every line."""

import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache

from rich.console import Console
from rich.logging import RichHandler

HIDDEN = "[redacted]"
LIBRARIES = ("botocore", "boto3", "s3transfer", "urllib3", "PIL", "matplotlib", "filelock", "asyncio")
"""Loggers whose debug output is noise here; they speak from warnings on."""

_KEYWORDS = r"secret|token|password|passwd|api[-_]?key|access[-_]?key|signature|credential"
PATTERNS: tuple[re.Pattern[str], ...] = (
    re.compile(r"\b(?:AKIA|ASIA|AGPA|AROA|AIDA)[A-Z0-9]{16}\b"),
    re.compile(r"\b(?:hf|ghp|gho|ghs|glpat|xox[abp])[-_][A-Za-z0-9_-]{16,}"),
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"),  # JSON web tokens
    re.compile(r"(?i)(?<=\bBearer )[^\s\"',]+"),
    re.compile(r"(?i)(?<=\bBasic )[A-Za-z0-9+/=]{8,}"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(
        rf"(?i)(?P<kept>\b[\w.-]*(?:{_KEYWORDS})(?:[-_]id)?[\"']?\s*[=:]\s*[\"']?)(?!{re.escape(HIDDEN)})[^\s\"',&;)}}]+"
    ),
)
SECRET_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
)
SHORTEST_SECRET = 8
"""A shorter value of a secret variable would blank out ordinary words."""


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace keys, tokens, passwords in addresses, and the given literal secrets by `[redacted]`."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    for pattern in PATTERNS:
        text = pattern.sub(lambda found: f"{found.groupdict().get('kept') or ''}{HIDDEN}", text)
    return text


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Values of the known secret variables, longest first."""
    values = {environment.get(name, "") for name in SECRET_VARIABLES}
    return sorted((value for value in values if len(value) >= SHORTEST_SECRET), key=len, reverse=True)


class RedactingFormatter(logging.Formatter):
    """Formats a record, traceback included, and then redacts the whole text."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record), secrets_of(os.environ))


class StderrHandler(logging.Handler):
    """Writes lines to whatever stderr is at that moment: a redirected stderr is followed, a closed one not kept."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


@cache
def console() -> Console:
    """The one console on stderr: logs, progress and tables share it, so that none draws over another."""
    return Console(stderr=True)


def set_up_logging(level: str = "info") -> None:
    """Send every logger to stderr: through rich on a terminal, as plain lines with a time elsewhere.

    Calling it again replaces the earlier handler.

    Args:
        level: debug, info, warning or error.
    """
    handler: logging.Handler
    if console().is_terminal:
        handler = RichHandler(
            console=console(), show_path=False, log_time_format="%H:%M:%S", markup=False, rich_tracebacks=False
        )
        handler.setFormatter(RedactingFormatter("%(message)s"))
    else:
        handler = StderrHandler()
        handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)-7s %(message)s"))
    handler.set_name("thaw")
    root = logging.getLogger()
    for earlier in [handler for handler in root.handlers if handler.get_name() == "thaw"]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
