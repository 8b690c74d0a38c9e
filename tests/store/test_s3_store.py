"""What holds for S3 alone: faults, secrets, parts, retries."""

import logging
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from components.core.errors import BadInput, Temporary
from components.core.store import Conflict, open_store
from components.core.store.retry import Retry
from components.core.store.s3 import S3Store
from tests.store.servers import BUCKET, SECRET


def brief(prefix: str = "faults", attempts: int = 3) -> S3Store:
    return S3Store(BUCKET, prefix, retry=Retry(attempts=attempts, first=0.001, cap=0.01), part=5 << 20)


def error_body(code: str) -> bytes:
    text = (
        f"<Error><Code>{code}</Code><Message>Key {SECRET} is wrong</Message><AWSAccessKeyId>{SECRET}</AWSAccessKeyId>"
    )
    return f"<?xml version='1.0'?>{text}</Error>".encode()


def test_open_store_reads_the_environment(s3_environment: str) -> None:
    store = open_store(f"s3://{BUCKET}/some/run/")
    assert store.uri == f"s3://{BUCKET}/some/run"
    store.put("k", b"data")
    assert open_store(f"s3://{BUCKET}/some").get("run/k") == b"data"


def test_parts_of_a_large_object(s3_store: S3Store) -> None:
    data = os.urandom(11 << 20)
    version = s3_store.put("large", data)
    assert version.endswith("-3")  # an ETag of three parts
    assert s3_store.get("large") == data
    assert s3_store.head("large").version == version


@pytest.mark.parametrize("lost", [1, 2])
def test_a_lost_response_to_put_if_absent_is_a_success(proxy: Any, lost: int, caplog: pytest.LogCaptureFixture) -> None:
    store = brief(f"lost-{lost}-{os.urandom(8).hex()}")
    store.put("warm", b"")
    proxy.drop = lost
    version = store.put_if_absent("k", b"mine")
    assert proxy.dropped == lost == store.retry.count
    assert store.get("k") == b"mine"
    assert "attempt 2 of 3" in caplog.text
    proxy.drop = lost
    newer = store.put_if_match("k", b"next", version)
    assert proxy.dropped == 2 * lost
    assert store.get_versioned("k").version == newer


def test_a_lost_response_does_not_hide_the_other_writer(proxy: Any) -> None:
    store = brief(f"lost-{os.urandom(8).hex()}")
    store.put_if_absent("k", b'{"writer": "somebody"}')
    proxy.drop = 1
    with pytest.raises(Conflict, match="already written by somebody"):
        store.put_if_absent("k", b'{"writer": "me"}')
    assert proxy.dropped == 1


def test_responses_lost_for_good_are_temporary(proxy: Any) -> None:
    store = brief()
    proxy.drop = 1000
    with pytest.raises(Temporary, match="does not answer"):
        store.put("k", b"data")
    assert proxy.dropped == 3


def test_a_lost_response_to_completed_parts_is_a_success(s3_environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = brief(f"parts-{os.urandom(8).hex()}")
    client = store._client()
    complete = client.complete_multipart_upload
    calls: list[int] = []

    def lost(**arguments: Any) -> Any:
        calls.append(1)
        answer = complete(**arguments)
        if len(calls) == 1:
            raise ConnectionResetError
        return answer

    monkeypatch.setattr(client, "complete_multipart_upload", lost)
    data = os.urandom(6 << 20)
    version = store.put("large", data)
    assert len(calls) == 2
    assert store.get_versioned("large").version == version
    assert store.get("large") == data


def test_abandoned_uploads_are_aborted_when_old(s3_store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    client = s3_store._client()
    for name in ("old", "young"):
        client.create_multipart_upload(Bucket=BUCKET, Key=f"{s3_store.prefix}blobs/{name}")
    other = client.create_multipart_upload(Bucket=BUCKET, Key="other-run/blobs/old")
    listed = client.list_multipart_uploads

    def dated(**arguments: Any) -> Any:  # this server says 2010 of every upload
        answer = listed(**arguments)
        for upload in answer.get("Uploads", []):
            age = 7200 if upload["Key"].endswith("old") else 60
            upload["Initiated"] = datetime.now(tz=UTC) - timedelta(seconds=age)
        return answer

    monkeypatch.setattr(client, "list_multipart_uploads", dated)
    assert s3_store.tidy(3600) == 1
    left = [upload["Key"] for upload in listed(Bucket=BUCKET)["Uploads"]]
    assert sorted(left) == ["other-run/blobs/old", f"{s3_store.prefix}blobs/young"]
    assert s3_store.tidy(30) == 1
    client.abort_multipart_upload(Bucket=BUCKET, Key="other-run/blobs/old", UploadId=other["UploadId"])


def test_a_failed_part_aborts_its_upload(s3_store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    client = s3_store._client()

    def refused(**arguments: Any) -> Any:
        raise ConnectionResetError

    monkeypatch.setattr(client, "upload_part", refused)
    with pytest.raises(Temporary):
        s3_store.put("large", bytes(6 << 20))
    assert "Uploads" not in client.list_multipart_uploads(Bucket=BUCKET)
    assert list(s3_store.list()) == []


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "AccessDenied"), (403, "SignatureDoesNotMatch"), (403, "InvalidAccessKeyId"), (400, "ExpiredToken")],
)
def test_denial_is_bad_input_without_secrets(
    answering: Callable[[int, bytes], None], status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    answering(status, error_body(code))
    store = brief()
    with caplog.at_level(logging.INFO):
        for use in (lambda: store.get("k"), lambda: store.put("k", b""), store.list, store.conditional_writes):
            with pytest.raises(BadInput, match="denies access") as caught:
                use()
            assert SECRET not in str(caught.value) + caplog.text
            assert caught.value.__suppress_context__
    if status == 403:  # an answer to HEAD has no body, so no code
        with pytest.raises(BadInput, match="denies access"):
            store.head("k")
    assert store.retry.count == 0


@pytest.mark.parametrize(
    ("status", "code"), [(503, "SlowDown"), (500, "InternalError"), (409, "ConditionalRequestConflict")]
)
def test_what_may_pass_is_retried_then_temporary(
    answering: Callable[[int, bytes], None], status: int, code: str
) -> None:
    answering(status, error_body(code))
    store = brief()
    with pytest.raises(Temporary, match=code) as caught:
        store.put_if_absent("k", b"")
    assert SECRET not in str(caught.value)
    assert store.retry.count == 2


def test_missing_bucket(s3_environment: str) -> None:
    store = S3Store("no-such-bucket", "x", retry=Retry(attempts=1))
    for use in (lambda: store.get("k"), lambda: store.put("k", b""), store.list):
        with pytest.raises(BadInput, match="no such bucket"):
            use()


def test_unreachable_endpoint_is_temporary_and_quick(s3_environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:{SECRET}@127.0.0.1:{port}")
    with pytest.raises(Temporary, match="AWS_ENDPOINT_URL") as caught:
        brief().get("k")
    assert SECRET not in str(caught.value)


def test_an_endpoint_that_is_none(s3_environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{SECRET}:nonsense")
    with pytest.raises(BadInput, match="AWS_ENDPOINT_URL") as caught:
        brief().get("k")
    assert SECRET not in str(caught.value)


def test_no_credentials(s3_environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(BadInput, match="no credentials"):
        brief().get("k")


@pytest.mark.parametrize("ignored", ["IfNoneMatch", "IfMatch"])
def test_the_probe_notices_ignored_conditions(
    s3_store: S3Store, monkeypatch: pytest.MonkeyPatch, ignored: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = s3_store._client()
    put = client.put_object
    monkeypatch.setattr(
        client, "put_object", lambda **given: put(**{name: value for name, value in given.items() if name != ignored})
    )
    assert not s3_store.conditional_writes()
    assert "no conditional writes" in caplog.text
    assert list(s3_store.list()) == []


def test_retries_are_bounded_and_jittered(monkeypatch: pytest.MonkeyPatch) -> None:
    from components.core.store import retry as module

    waits: list[float] = []
    monkeypatch.setattr(module.time, "sleep", waits.append)
    policy = Retry(attempts=12, first=0.2, cap=2.0)

    def failing() -> None:
        raise module.Transient("no")

    with pytest.raises(module.Transient):
        policy("x", failing)
    assert len(waits) == 11 == policy.count
    assert all(wait <= min(2.0, 0.2 * 2**number) for number, wait in enumerate(waits))
    assert len(set(waits)) == 11
