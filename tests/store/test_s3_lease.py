"""One live writer per S3 prefix."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from components.core.checkpoint.claim import KEY, Claim, decode_claim
from components.core.checkpoint.identity import this_process
from components.core.checkpoint.lease import hold
from components.core.checkpoint.object_lease import ObjectLease
from components.core.errors import BadInput, Temporary
from components.core.store import Conflict
from components.core.store.s3 import S3Store

ELSEWHERE = dataclasses.replace(this_process(), host="worker-7", pid=41)

HOLDER = """
import sys
from components.core.checkpoint.lease import hold
from components.core.store import open_store
with hold(open_store(sys.argv[1]), ttl=60):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def silent(s3_store: S3Store) -> Claim:
    """A claim of another host that nobody renews."""
    claim = Claim(owner=ELSEWHERE, ttl=0.4)
    s3_store.put_if_absent(KEY, claim.encode())
    return claim


@pytest.fixture
def renewed(s3_store: S3Store) -> Iterator[Claim]:
    """A claim of another host that is renewed."""
    claim = Claim(owner=ELSEWHERE, ttl=5.0)
    s3_store.put_if_absent(KEY, claim.encode())
    stop = threading.Event()

    def renew() -> None:
        number = 0
        while not stop.wait(0.05):
            number += 1
            s3_store.put(KEY, dataclasses.replace(claim, renewals=number).encode())

    thread = threading.Thread(target=renew)
    thread.start()
    yield claim
    stop.set()
    thread.join()


def test_held_renewed_released(s3_store: S3Store) -> None:
    with hold(s3_store, ttl=0.15) as lease:
        with pytest.raises(Conflict, match=f"process {os.getpid()} on .*, since 20"):
            ObjectLease(s3_store, ttl=0.15)
        deadline = time.monotonic() + 5
        while decode_claim(s3_store.get(KEY), "").renewals < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert decode_claim(s3_store.get(KEY), "").renewals >= 2
        lease.check()
    assert decode_claim(s3_store.get(KEY), "").released
    with pytest.raises(Conflict, match="released"):
        lease.check()
    started = time.monotonic()
    with hold(s3_store, ttl=60) as again:
        again.check()
    assert time.monotonic() - started < 2


def test_a_live_writer_elsewhere_is_named_soon(s3_store: S3Store, renewed: Claim) -> None:
    started = time.monotonic()
    with pytest.raises(Conflict, match="process 41 on worker-7") as caught:
        ObjectLease(s3_store, ttl=30)
    assert renewed.since in str(caught.value)
    assert time.monotonic() - started < 10


def test_a_silent_writer_elsewhere_is_waited_for(
    s3_store: S3Store, silent: Claim, caplog: pytest.LogCaptureFixture
) -> None:
    started = time.monotonic()
    lease = ObjectLease(s3_store, ttl=5)
    assert time.monotonic() - started >= silent.ttl
    assert "worker-7" in caplog.text
    assert decode_claim(s3_store.get(KEY), "").owner == this_process()
    lease.release()


def test_of_two_that_take_over_one_wins(s3_store: S3Store, silent: Claim) -> None:
    won: list[ObjectLease] = []
    refused: list[str] = []

    def take() -> None:
        try:
            won.append(ObjectLease(s3_store, ttl=30))
        except Conflict as error:
            refused.append(error.what)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(refused) == 3
    assert all(str(os.getpid()) in text for text in refused)
    won[0].release()


def test_a_killed_writer_on_this_host_is_taken_over_at_once(s3_store: S3Store) -> None:
    command = [sys.executable, "-c", HOLDER, s3_store.uri]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(Conflict, match=f"process {process.pid} on"):
            ObjectLease(s3_store, ttl=60)
        process.send_signal(signal.SIGKILL)
        process.wait()
        started = time.monotonic()
        ObjectLease(s3_store, ttl=60).release()
        assert time.monotonic() - started < 5


def test_a_lost_lease_is_noticed(s3_store: S3Store) -> None:
    lease = ObjectLease(s3_store, ttl=0.1)
    s3_store.put(KEY, Claim(owner=ELSEWHERE, ttl=30.0).encode())
    lease._thread.join(5)
    with pytest.raises(Conflict, match="process 41 on worker-7"):
        lease.check()
    lease.release()
    assert decode_claim(s3_store.get(KEY), "").owner == ELSEWHERE  # releasing what is lost takes nothing away


def test_an_outage_does_not_lose_the_lease(s3_store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = ObjectLease(s3_store, ttl=0.1)
    tried = threading.Event()

    def away(key: str, data: bytes, version: str) -> str:
        tried.set()
        raise Temporary("the store does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(s3_store, "put_if_match", away)
        assert tried.wait(5)
        lease.check()
    lease.check()
    lease.release()
    assert decode_claim(s3_store.get(KEY), "").released


def test_denial_stops_the_writer(s3_store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(key: str, data: bytes, version: str) -> str:
        raise BadInput("the store denies access")

    lease = ObjectLease(s3_store, ttl=0.1)
    monkeypatch.setattr(s3_store, "put_if_match", denied)
    lease._thread.join(5)
    with pytest.raises(BadInput, match="denies access"):
        lease.check()
    lease.release()


@pytest.mark.parametrize("junk", [b"", b"{}", b"\x80\x04", b'{"ttl": 1.0, "owner": 3}'])
def test_a_lease_that_says_nothing_is_taken_over(s3_store: S3Store, junk: bytes) -> None:
    s3_store.put(KEY, junk)
    lease = ObjectLease(s3_store, ttl=30)
    lease.check()
    lease.release()
