"""From an address to a store."""

import re
from pathlib import Path

from components.core.errors import BadInput
from components.core.store.local import LocalStore
from components.core.store.protocol import Store, check_key

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


def open_store(uri: str | Path) -> Store:
    """Open a folder or `s3://bucket/prefix`. Nothing is contacted or created before the first use.

    Args:
        uri: A path, `file:///path` or `s3://bucket/prefix`. Credentials and endpoint of S3 come from the
            environment (boto3's default chain, AWS_ENDPOINT_URL), never from the address.

    Raises:
        BadInput: The scheme is unknown or the bucket's name is not one.
    """
    if isinstance(uri, Path):
        if uri.parts[:1] in {("s3:",), ("file:",)}:
            raise BadInput("an address became a path on its way", where=str(uri), remedy="pass addresses as text")
        return LocalStore(uri)
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return LocalStore(Path(uri))
    if scheme == "file" and rest.startswith("/"):
        return LocalStore(Path(rest))
    if scheme != "s3":
        raise BadInput(
            f"cannot open a store of the kind {scheme!r}", remedy="give a folder, file:///folder or s3://bucket/prefix"
        )
    bucket, _, prefix = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):  # not quoted back: what stands before an @ may be a secret
        raise BadInput(
            "not the name of a bucket", where="s3:// address", remedy="write s3://bucket/prefix, without credentials"
        )
    prefix = prefix.strip("/")
    if prefix:
        check_key(prefix)
    from components.core.store.s3 import S3Store  # boto3 takes longer to import than a local run to start

    return S3Store(bucket, prefix)
