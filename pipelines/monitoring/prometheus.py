"""Asks a Prometheus: what every series of an expression is now, and was in the last minutes."""

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.core.errors import BadInput, Temporary

LARGEST_ANSWER = 64 * 2**20
"""Bytes that are read of an answer at most."""

TIMEOUT = 30.0


@dataclass(frozen=True)
class Series:
    """One series of a result.

    Attributes:
        labels: Its labels; `__name__` where the expression keeps it.
        times: Unix times in seconds.
        values: As many values.
    """

    labels: Mapping[str, str]
    times: tuple[float, ...]
    values: tuple[float, ...]


class Prometheus:
    """A server's query interface.

    Args:
        address: `http://host:port`, or https.

    Raises:
        BadInput: The address is none of a web server.
    """

    def __init__(self, address: str) -> None:
        if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
            raise BadInput("this is no address of a Prometheus", where=address, remedy="give http://host:port")
        self._address = address.rstrip("/")

    def now(self, expression: str) -> list[Series]:
        """The present value of every series. Raises what `ask` raises."""
        result = self.ask("query", query=expression)["result"]
        return [_series(one["metric"], [one["value"]]) for one in result]

    def last(self, expression: str, seconds: float, step: float) -> list[Series]:
        """Every series' values of the last `seconds`, one per `step` seconds. Raises what `ask` raises."""
        end = time.time()
        span = {"start": f"{end - seconds:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        result = self.ask("query_range", query=expression, **span)["result"]
        return [_series(one["metric"], one["values"]) for one in result]

    def ask(self, path: str, **question: str) -> Any:
        """Data of one answer of the interface, version 1.

        Raises:
            BadInput: The server does not understand the expression.
            Temporary: It does not answer, or not as a Prometheus does.
        """
        address = f"{self._address}/api/v1/{path}?{urllib.parse.urlencode(question)}"
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:  # noqa: S310  the scheme is checked
                text = answer.read(LARGEST_ANSWER + 1)
        except urllib.error.HTTPError as error:
            with error:
                reason = error.read(2000).decode(errors="replace")
            raise BadInput(f"the query is refused: {reason}", where=question.get("query", path)) from error
        except (OSError, http.client.HTTPException) as error:
            raise Temporary(f"Prometheus does not answer: {error}", where=self._address) from error
        if len(text) > LARGEST_ANSWER:
            raise BadInput(f"the answer is larger than {LARGEST_ANSWER} bytes", where=question.get("query", path))
        try:
            return json.loads(text)["data"]
        except (ValueError, KeyError, TypeError) as error:
            raise Temporary("this is no answer of a Prometheus", where=self._address) from error


def _series(labels: Mapping[str, str], points: list[tuple[float, str]]) -> Series:
    return Series(labels, tuple(float(at) for at, _ in points), tuple(float(value) for _, value in points))
