"""Bounded retries with jitter, for what may pass by itself."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")

log = logging.getLogger(__name__)


class Transient(Exception):
    """The attempt failed for a reason that may pass; its text is fit for a log."""


@runtime_checkable
class Retrying(Protocol):
    """A store that repeats what may pass by itself."""

    retry: "Retry"


@dataclass
class Retry:
    """Retries with full jitter: before attempt n + 1 a uniform wait in [0, min(cap, first * 2^n)] seconds.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    Attributes:
        attempts: In all, the first one included.
        first: Seconds.
        cap: Seconds.
        count: Retries made so far, for metrics.
    """

    attempts: int = 6
    first: float = 0.2
    cap: float = 10.0
    count: int = 0
    _told: int = field(default=0, repr=False)
    _random: random.Random = field(default_factory=random.SystemRandom, repr=False)

    def since_asked(self) -> int:
        """Retries made since this was last asked."""
        now = self.count  # read once: uploads count on in their own thread
        made, self._told = now - self._told, now
        return made

    def __call__(self, what: str, attempt: Callable[[], T]) -> T:
        """Call until it returns. Raises the last `Transient`, and at once whatever else the attempt raises."""
        for number in range(self.attempts - 1):
            try:
                return attempt()
            except Transient as error:
                wait = self._random.uniform(0, min(self.cap, self.first * 2**number))
                self.count += 1
                log.warning("%s: %s; attempt %d of %d in %.1f s", what, error, number + 2, self.attempts, wait)
                time.sleep(wait)
        return attempt()
