"""One live writer: locks of the kernel in folders. (Leases on S3: tests/store/test_s3_lease.py.)"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.core.checkpoint.identity import Process, fate, this_process
from components.core.checkpoint.lease import hold
from components.core.checkpoint.object_lease import ObjectLease
from components.core.errors import BadInput
from components.core.store import Conflict, Store
from components.core.store.local import LocalStore

HOLDER = """
import sys
from pathlib import Path
from components.core.checkpoint.lease import hold
from components.core.store.local import LocalStore
with hold(LocalStore(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_in_this_process(local: LocalStore) -> None:
    with hold(local) as lease:
        lease.check()
        with pytest.raises(Conflict, match=f"process {os.getpid()} on .*, since 20"), hold(local):
            pass
        lease.check()
    with pytest.raises(Conflict, match="released"):
        lease.check()
    with hold(local) as again:
        again.check()


def test_a_killed_writer_leaves_nothing_held(local: LocalStore) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(local.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(Conflict, match=f"process {process.pid} on "), hold(local):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        with hold(local) as lease:
            lease.check()


def test_a_file_system_without_locks_is_named(local: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(BadInput, match="no locks"), hold(local):
        pass


def test_fates() -> None:
    here = this_process()
    assert fate(here) == "alive"
    assert fate(Process(here.host, here.boot, here.namespace, here.pid, here.started + 1)) == "dead"
    assert fate(Process("another", here.boot, here.namespace, here.pid, here.started + 1)) == "unknown"
    assert fate(Process(here.host, "another", here.namespace, here.pid, here.started)) == "unknown"
    assert fate(Process(here.host, here.boot, "pid:[1]", here.pid, here.started)) == "unknown"
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        assert fate(Process(here.host, here.boot, here.namespace, process.pid, 12345)) == "dead"
    assert Process.from_values(here.as_values()) == here


def test_without_conditional_writes_one_of_two_leases_stays(unconditional: Store) -> None:
    first = ObjectLease(unconditional, ttl=0.2)
    try:
        with pytest.raises(Conflict, match=f"process {os.getpid()}"):
            ObjectLease(unconditional, ttl=0.2)
        first.check()
    finally:
        first.release()
    second = ObjectLease(unconditional, ttl=0.2)
    second.release()


def test_the_lock_is_no_object(local: LocalStore, tmp_path: Path) -> None:
    with hold(local):
        assert [entry.key for entry in local.list()] == ["lease.json"]
    assert [entry.key for entry in local.list()] == []
