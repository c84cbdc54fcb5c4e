"""Bytes by key and by range, from folders, web servers and the buckets of every cloud, through obstore.

A `Store` answers with the bytes as they are stored and how they are compressed; it never decodes. What is not
there is an absent payload, what is refused or broken is an error: 403 is not 404. Tries, pauses and time-outs
are bounded, so a server that hangs or fails makes an error in known time.
"""

from __future__ import annotations

from ..cachefolder import CacheFolder
from ..errors import SourceError
from .address import bucket_at
from .base import BrokenAnswerError, Patience, Store
from .folder import FolderStore
from .masking import masked
from .web import WebStore

__all__ = [
    "BrokenAnswerError",
    "FolderStore",
    "Patience",
    "Store",
    "WebStore",
    "masked",
    "open_store",
]


def open_store(
    url: str,
    token: str | None = None,
    patience: Patience | None = None,
    disk: CacheFolder | None = None,
    endpoint: str | None = None,
) -> Store:
    """Open a folder, a web address, or a folder of a bucket.

    Parameters
    ----------
    url : str
        `file:///…`, `http://…`, `https://…`, `gs://bucket/…`, `s3://bucket/…` or `az://account/container/…`, as in
        `CloudPath.url`. The https addresses that the clouds have for their buckets stand for the buckets.
    token : str, optional
        Sent as a bearer token to this web server, and to no other; not to a bucket.
    patience : Patience, optional
        Time-outs and tries.
    disk : CacheFolder, optional
        Where to keep, between processes, what a server sent.
    endpoint : str, optional
        Of a bucket, another server than the cloud's own, such as MinIO's; for Azure it ends in the account's name. By
        default what AWS_ENDPOINT_URL, STORAGE_EMULATOR_HOST or AZURE_STORAGE_ENDPOINT name.

    Raises
    ------
    SourceError
        If the address is of another kind, or names no bucket.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "info").write_bytes(b"{}")
    >>> open_store(folder.as_uri()).get("info").data
    b'{}'
    >>> open_store("s3://bucket/em")
    BucketStore('s3://bucket/em')
    """
    patience = patience or Patience()
    if url.startswith("file://"):
        return FolderStore(url)
    bucket = None if token is not None and url.startswith("http") else bucket_at(url, endpoint)
    if bucket is not None:
        from .bucket import BucketStore  # what the clouds need is loaded for those who read from them

        return BucketStore(url, *bucket, patience, disk)
    if url.startswith(("http://", "https://")):
        return WebStore(url, token, patience, disk)
    raise SourceError(f"{url!r} is no address of a folder, a web server or a bucket")
