"""A store in an S3 bucket. The one file that knows boto3.

Errors carry the server's error code and nothing else of what it or the client said: neither can leak a secret.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as NoConnectionError

from components.core.errors import BadInput, Temporary, ThawError
from components.core.store.errors import Conflict, NotFound, TooLarge
from components.core.store.probe import probe_conditional_writes
from components.core.store.protocol import Entry, Versioned, check_key, check_prefix, writer_of
from components.core.store.retry import Retry, Transient

T = TypeVar("T")

PART = 64 << 20
"""Bytes above which an object goes in parts of this size (S3 takes up to 10,000 of them)."""

_DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_DENIED |= {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "RequestTimeTooSkewed"}
_PASSING = {"ConditionalRequestConflict", "OperationAborted", "RequestTimeout", "SlowDown", "Throttling", "BadDigest"}
_PASSING |= {"ThrottlingException", "TooManyRequests", "RequestLimitExceeded", "InternalError", "ServiceUnavailable"}

_BROKEN = (NoConnectionError, HTTPClientError, IncompleteReadError, MetadataRetrievalError, OSError)

_CONFIG = Config(
    retries={"total_max_attempts": 1},  # one loop of retries, ours: it sees 409 too and says what it does
    connect_timeout=5,
    read_timeout=60,
    request_checksum_calculation="when_required",  # Ceph and older MinIO refuse the trailing checksums
    response_checksum_validation="when_required",
)


class S3Store:
    """Objects of a bucket whose keys start with a prefix.

    Credentials, region and endpoint (AWS_ENDPOINT_URL) come from boto3's default chain alone.
    """

    def __init__(self, bucket: str, prefix: str = "", *, retry: Retry | None = None, part: int = PART) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self.retry = retry or Retry()
        self._part = part
        self._connecting, self._probing = Lock(), Lock()
        self._made: Any = None
        self._conditional: bool | None = None

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        return self.get_versioned(key, limit=limit).data

    def get_versioned(self, key: str, *, limit: int | None = None) -> Versioned:
        where = f"{self.uri}/{key}"

        def attempt(answer: Any) -> Versioned:
            with answer["Body"] as body:
                size = int(answer["ContentLength"])
                if limit is not None and size > limit:
                    raise TooLarge(size, limit, where)
                return Versioned(body.read(), _etag(answer))

        return self._call("get_object", key, attempt)

    def put(self, key: str, data: bytes) -> str:
        if len(data) > self._part:
            return self._put_in_parts(key, data)
        return self._put_whole(key, data)

    def _put_whole(self, key: str, data: bytes, **condition: str) -> str:
        return self._call("put_object", key, _etag, Body=data, ContentMD5=_md5(data), **condition)

    def _put_in_parts(self, key: str, data: bytes) -> str:
        upload = self._call("create_multipart_upload", key, lambda answer: str(answer["UploadId"]))
        try:
            parts = []
            for number, start in enumerate(range(0, len(data), self._part), start=1):
                piece = data[start : start + self._part]
                tag = self._call(
                    "upload_part", key, _etag, UploadId=upload, PartNumber=number, Body=piece, ContentMD5=_md5(piece)
                )
                parts.append({"PartNumber": number, "ETag": tag})
            return self._complete(key, upload, parts, len(data))
        except NotFound:
            raise Conflict(
                "the upload was aborted by another writer", where=f"{self.uri}/{key}", remedy="stop the other run"
            ) from None
        except BaseException:
            self._abort(key, upload)
            raise

    def _complete(self, key: str, upload: str, parts: Sequence[Mapping[str, Any]], size: int) -> str:
        lost: NotFound | None = None
        try:
            made = self._call(
                "complete_multipart_upload", key, _etag, UploadId=upload, MultipartUpload={"Parts": parts}
            )
            if made:
                return made  # Ceph names no version here
        except NotFound as error:  # no such upload: an attempt whose response was lost completed it
            lost = error
        entry = self.head(key)
        if lost is not None and entry.size != size:
            raise lost
        return entry.version

    def _abort(self, key: str, upload: str) -> None:
        try:
            self._call("abort_multipart_upload", key, _nothing, UploadId=upload)
        except ThawError:  # it is already failing for a better reason; `tidy` of the next run removes the parts
            return

    def put_if_absent(self, key: str, data: bytes) -> str:
        return self._put_if(key, data, IfNoneMatch="*")

    def put_if_match(self, key: str, data: bytes, version: str) -> str:
        return self._put_if(key, data, IfMatch=version)

    def _put_if(self, key: str, data: bytes, **condition: str) -> str:
        where = f"{self.uri}/{key}"
        try:
            return self._put_whole(key, data, **condition)
        except (Conflict, NotFound):
            try:
                found = self.get_versioned(key)
            except NotFound:
                raise Conflict(
                    "the object was deleted by another writer", where=where, remedy="stop the other run"
                ) from None
        if found.data == data:  # ours: the response to an earlier attempt was lost after the server had committed it
            return found.version
        raise Conflict(f"already written by {writer_of(found.data)}", where=where, remedy="stop the other run")

    def head(self, key: str) -> Entry:
        return self._call("head_object", key, lambda answer: _entry(key, answer, answer["ContentLength"], _now(answer)))

    def list(self, prefix: str = "") -> Sequence[Entry]:
        pages = self._pages("list_objects_v2", check_prefix(prefix), {"ContinuationToken": "NextContinuationToken"})
        return sorted(
            (
                _entry(item["Key"].removeprefix(self.prefix), item, item["Size"], _now(page))
                for page in pages
                for item in page.get("Contents", [])
            ),
            key=lambda entry: entry.key,
        )

    def delete(self, key: str) -> None:
        self._call("delete_object", key, _nothing)

    def conditional_writes(self) -> bool:
        with self._probing:
            if self._conditional is None:
                self._conditional = probe_conditional_writes(self)
            return self._conditional

    def tidy(self, grace: float) -> int:
        """Abort multipart uploads of this prefix that nobody has completed."""
        aborted = 0
        markers = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
        for page in self._pages("list_multipart_uploads", "", markers):
            for upload in page.get("Uploads", []):
                key = upload["Key"]
                if key.startswith(self.prefix) and _now(page) - upload["Initiated"].timestamp() > grace:
                    self._abort(key.removeprefix(self.prefix), upload["UploadId"])
                    aborted += 1
        return aborted

    def _pages(self, operation: str, prefix: str, markers: Mapping[str, str]) -> Iterator[Any]:
        more: dict[str, Any] = {}
        while True:
            page = self._request(operation, prefix, lambda answer: answer, Prefix=self.prefix + prefix, **more)
            yield page
            if not page.get("IsTruncated"):
                return
            more = {ours: page[theirs] for ours, theirs in markers.items() if page.get(theirs)}

    def _call(self, operation: str, key: str, read: Callable[[Any], T], **arguments: Any) -> T:
        return self._request(operation, key, read, Key=self.prefix + check_key(key), **arguments)

    def _request(self, operation: str, key: str, read: Callable[[Any], T], **arguments: Any) -> T:
        where = f"{self.uri}/{key}"

        def attempt() -> T:
            try:
                return read(getattr(self._client(), operation)(Bucket=self.bucket, **arguments))
            except (BotoCoreError, ClientError, OSError) as error:
                raise _translated(error, where) from None  # see the module's docstring

        try:
            return self.retry(where, attempt)
        except Transient as error:
            raise Temporary(
                f"the store does not answer: {error}",
                where=where,
                remedy="check the network and AWS_ENDPOINT_URL; the run can be started again as it is",
            ) from None

    def _client(self) -> Any:
        with self._connecting:
            if self._made is None:
                try:
                    self._made = boto3.session.Session().client("s3", config=_CONFIG)
                except ValueError:  # its text quotes the endpoint, which may carry a password
                    raise BadInput(
                        "not an address of a store", where="AWS_ENDPOINT_URL", remedy="write http(s)://host[:port]"
                    ) from None
            return self._made


def _translated(error: Exception, where: str) -> Exception:
    if isinstance(error, ClientError):
        return _answered(error.response, where)
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return BadInput(
            "no credentials for the store, or only half of them",
            where=where,
            remedy="give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a service account",
        )
    if isinstance(error, _BROKEN):
        return Transient(type(error).__name__)
    return BadInput(
        f"the store's client cannot work: {type(error).__name__}",
        where=where,
        remedy="check AWS_ENDPOINT_URL, the region and the profile in the environment",
    )


def _answered(response: Mapping[str, Any], where: str) -> Exception:
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _PASSING or status == 429 or (status >= 500 and status != 501):
        return Transient(f"{code or 'error'} (HTTP {status})")
    if code == "NoSuchBucket":
        return BadInput("no such bucket", where=where, remedy="create the bucket or correct the address")
    if code in _DENIED or status in (401, 403):
        return BadInput(
            f"the store denies access ({code or status})",
            where=where,
            remedy="check the credentials in the environment and what they may do with this bucket",
        )
    if status == 412:
        return Conflict("already written", where=where, remedy="stop the other run")
    if status == 404:
        return NotFound("no such object", where=where, remedy="check the address")
    return BadInput(f"the store refuses the request ({code}, HTTP {status})", where=where, remedy="check the store")


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _etag(answer: Any) -> str:
    """Without the quotes: Ceph compares `If-Match` with the bare tag, and S3 takes both."""
    return str(answer["ETag"]).strip('"')


def _nothing(answer: Any) -> None:
    """For answers that say nothing."""


def _now(answer: Any) -> float:
    """The server's clock, seconds since the epoch."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(date).timestamp() if date else time.time()


def _entry(key: str, item: Any, size: int, now: float) -> Entry:
    return Entry(key, int(size), _etag(item), max(0.0, now - item["LastModified"].timestamp()))
