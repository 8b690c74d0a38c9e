"""A real S3 server: Ceph's object gateway on one monitor, one manager and one store in memory, for one session."""

import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("ceph-mon", "monmaptool", "ceph-mgr", "ceph-osd", "ceph", "ceph-authtool", "radosgw", "radosgw-admin")
SECONDS_TO_START = 90
REGION = "us-east-1"
ACCESS_KEY = "thaw-tests-key"


@dataclass(frozen=True)
class Gateway:
    """Where it answers, and to whom."""

    address: str
    access_key: str
    secret_key: str

    @property
    def environment(self) -> dict[str, str]:
        """What points boto3's default chain at it."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def missing_programs() -> list[str]:
    """The programs that this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Cluster:
    """The processes of one small cluster in one folder.

    Args:
        folder: Must be short: sockets lie in it.
    """

    def __init__(self, folder: Path, secret_key: str) -> None:
        self.folder = folder
        self.secret_key = secret_key
        self._fsid = str(uuid.uuid4())
        self._running = ExitStack()

    def start(self) -> Gateway:
        """Start everything, and wait until a bucket can be made.

        Raises:
            RuntimeError: A process ended, or the gateway does not answer in time; with the end of its log.
        """
        monitor, gateway = _free_port(), _free_port()
        self._write_settings(monitor)
        self._make_keys(monitor)
        self._spawn("ceph-mon", "-i", "a")
        self._run("ceph", "auth", "get-or-create", "client.admin", retry=SECONDS_TO_START)
        self._spawn("ceph-mgr", "-i", "a")
        self._make_store()
        self._spawn("ceph-osd", "-i", "0")
        self._spawn("radosgw", "-n", "client.admin", f"--rgw_frontends=beast endpoint=127.0.0.1:{gateway}")
        self._wait(lambda: _listens(gateway), "radosgw")
        self._run(
            *("radosgw-admin", "user", "create", "--uid", "thaw", "--display-name", "thaw"),
            *("--access-key", ACCESS_KEY, "--secret-key", self.secret_key),
        )
        return Gateway(f"http://127.0.0.1:{gateway}", ACCESS_KEY, self.secret_key)

    def stop(self) -> None:
        """End every process."""
        self._running.close()

    def _write_settings(self, monitor: int) -> None:
        f = self.folder
        settings = {
            "fsid": self._fsid,
            "mon_host": f"v2:127.0.0.1:{monitor}",
            "mon_initial_members": "a",
            "keyring": f"{f}/keyring",
            "run_dir": str(f),
            "admin_socket": f"{f}/$name.sock",
            "log_file": f"{f}/$name.log",
            "mon_data": f"{f}/mon",
            "mgr_data": f"{f}/mgr",
            "osd_data": f"{f}/osd",
            "rgw_data": f"{f}/rgw",
            "crash_dir": f"{f}/crash",
            "auth_cluster_required": "cephx",
            "auth_service_required": "cephx",
            "auth_client_required": "cephx",
            "public_addr": "127.0.0.1",
            "cluster_addr": "127.0.0.1",
            "osd_objectstore": "memstore",
            "memstore_device_bytes": str(2 << 30),
            "osd_pool_default_size": "1",
            "osd_pool_default_min_size": "1",
            "osd_pool_default_pg_num": "1",
            "osd_pool_default_pg_autoscale_mode": "off",
            "osd_crush_chooseleaf_type": "0",
            "mon_allow_pool_size_one": "true",
            "mon_max_pg_per_osd": "1000",
            "ms_bind_ipv6": "false",
            "rgw_dns_name": "",
            "rgw_enable_usage_log": "false",
        }
        lines = ["[global]", *(f"{name} = {value}" for name, value in settings.items())]
        (f / "ceph.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for name in ("mon", "mgr", "osd", "rgw", "crash"):
            (f / name).mkdir(exist_ok=True)

    def _make_keys(self, monitor: int) -> None:
        keyring = str(self.folder / "keyring")
        allow = ["--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *"]
        self._run("ceph-authtool", keyring, "--create-keyring", "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for who in ("client.admin", "mgr.a", "osd.0"):
            self._run("ceph-authtool", keyring, "--gen-key", "-n", who, *allow)
        address = f"[v2:127.0.0.1:{monitor}]"
        map_file = str(self.folder / "monmap")
        self._run("monmaptool", "--create", "--addv", "a", address, "--fsid", self._fsid, map_file)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", map_file, "--keyring", keyring)

    def _make_store(self) -> None:
        identity = str(uuid.uuid4())
        self._run("ceph", "osd", "new", identity, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)

    def _spawn(self, *command: str) -> None:
        log = (self.folder / f"{command[0]}.out").open("wb")
        self._running.callback(log.close)
        process = subprocess.Popen(
            [*command, "--foreground", "--conf", str(self.folder / "ceph.conf")],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        self._running.callback(_end, process)

    def _run(self, *command: str, retry: float = 0) -> None:
        conf = ["--conf", str(self.folder / "ceph.conf")] if command[0] not in ("ceph-authtool", "monmaptool") else []
        limit = ["--connect-timeout", "20"] if command[0] == "ceph" else []
        give_up = time.monotonic() + retry
        while True:
            done = subprocess.run([*command, *conf, *limit], capture_output=True, text=True, timeout=120, check=False)
            if done.returncode == 0:
                return
            if time.monotonic() > give_up:
                raise RuntimeError(f"{' '.join(command[:3])} failed: {done.stderr[-2000:]}")
            time.sleep(0.5)

    def _wait(self, ready: Callable[[], bool], program: str) -> None:
        give_up = time.monotonic() + SECONDS_TO_START
        while not ready():
            if time.monotonic() > give_up:
                raise RuntimeError(f"{program} does not answer:\n{self._tail(program)}")
            time.sleep(0.2)

    def _tail(self, program: str) -> str:
        return (self.folder / f"{program}.out").read_text(encoding="utf-8", errors="replace")[-2000:]


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
