"""Where a bucket lies: which cloud's, its name, the path within, and the server that answers for it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from ..errors import SourceError

__all__ = ["Bucket", "Cloud", "bucket_at"]

Cloud = Literal["gs", "s3", "az"]

_CLOUDS: dict[str, Cloud] = {"gs": "gs", "s3": "s3", "az": "az"}
_AMAZON = re.compile(r"^(?:(?P<bucket>.+)\.)?s3(?:[.-](?P<region>[a-z0-9-]+))?\.amazonaws\.com$")
_AZURE = re.compile(r"^(?P<account>[a-z0-9]+)\.blob\.core\.windows\.net$")
_GOOGLE = "storage.googleapis.com"
_ENDPOINTS: dict[Cloud, tuple[str, ...]] = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("STORAGE_EMULATOR_HOST", "GOOGLE_BASE_URL"),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, or a container of Azure's.

    Parameters
    ----------
    cloud : {"gs", "s3", "az"}
        Whose rules it follows.
    name : str
        The bucket's, or the container's.
    account : str
        Azure's storage account; empty for the others.
    endpoint : str
        Another server than the cloud's own, without a slash at the end; empty for the cloud's own.
    trusted : bool
        Whether the server is the cloud's own, or one that the user's environment names, so that it may get what lets
        its holder act for the user. A server that a source names, which may come from anyone, does not.
    """

    cloud: Cloud
    name: str
    account: str = ""
    endpoint: str = ""
    trusted: bool = True

    @property
    def url(self) -> str:
        """The bucket's address, as it is written in a source."""
        return f"{self.cloud}://{f'{self.account}/' if self.account else ''}{self.name}"

    def public(self, region: str | None = None) -> tuple[str, str]:
        """Give the server that answers without credentials, and what paths there begin with."""
        if self.endpoint:
            return self.endpoint, f"{self.name}/"
        if self.cloud == "gs":
            return f"https://{_GOOGLE}", f"{self.name}/"
        if self.cloud == "az":
            return f"https://{self.account}.blob.core.windows.net", f"{self.name}/"
        amazon = f"s3.{region}.amazonaws.com" if region else "s3.amazonaws.com"
        if "." in self.name:  # no certificate fits such a name as part of the server's
            return f"https://{amazon}", f"{self.name}/"
        return f"https://{self.name}.{amazon}", ""


def bucket_at(url: str, endpoint: str | None = None) -> tuple[Bucket, str] | None:
    """Read an address as a bucket and a path within; None where it is no bucket's.

    Parameters
    ----------
    url : str
        `gs://bucket/path`, `s3://bucket/path`, `az://account/container/path`, or one of the https addresses that
        these clouds have for them; percent-encoded.
    endpoint : str, optional
        Another server than the cloud's own; by default what the cloud's usual environment variable names
        (AWS_ENDPOINT_URL, STORAGE_EMULATOR_HOST, AZURE_STORAGE_ENDPOINT, …). Not for https addresses, which name
        theirs.

    Raises
    ------
    SourceError
        If the address names no bucket.

    Examples
    --------
    >>> bucket_at("s3://bucket/em/v1", endpoint="http://127.0.0.1:9000/")
    (Bucket(cloud='s3', name='bucket', account='', endpoint='http://127.0.0.1:9000', trusted=False), 'em/v1')
    >>> bucket_at("https://storage.googleapis.com/bucket/em")[0].url
    'gs://bucket'
    >>> bucket_at("https://example.org/em") is None
    True
    """
    scheme, _, rest = url.partition("://")
    if scheme in ("http", "https"):
        return _at_https(url) if scheme == "https" else None
    cloud = _CLOUDS.get(scheme)
    if cloud is None:
        return None
    account = ""
    if cloud == "az":
        account, _, rest = rest.partition("/")
    name, _, path = rest.partition("/")
    if not name:
        needed = "account and container; write az://ACCOUNT/CONTAINER/PATH" if cloud == "az" else "bucket"
        raise SourceError(f"{url!r} names no {needed}")
    server = _given(endpoint) or _configured(cloud, account)
    return Bucket(cloud, name, account, server, trusted=not endpoint), unquote(path).strip("/")


def _at_https(url: str) -> tuple[Bucket, str] | None:
    parts = urlsplit(url)
    host, path = parts.netloc.lower(), unquote(parts.path).strip("/")
    if parts.query or not path:
        return None
    amazon, azure = _AMAZON.match(host), _AZURE.match(host)
    if amazon and amazon["bucket"]:
        return Bucket("s3", amazon["bucket"]), path
    name, _, rest = path.partition("/")
    if host == _GOOGLE:
        return Bucket("gs", name), rest
    if amazon:
        return Bucket("s3", name), rest
    if azure:
        return Bucket("az", name, azure["account"]), rest
    return None


def _given(endpoint: str | None) -> str:
    if not endpoint:
        return ""
    return (endpoint if "://" in endpoint else f"http://{endpoint}").rstrip("/")


def _configured(cloud: Cloud, account: str) -> str:
    for variable in _ENDPOINTS[cloud]:
        if os.environ.get(variable):
            return _given(os.environ[variable])
    if cloud == "az" and os.environ.get("AZURE_STORAGE_USE_EMULATOR", "").lower() in ("1", "true"):
        server = os.environ.get("AZURITE_BLOB_STORAGE_URL", "http://127.0.0.1:10000")
        return f"{server.rstrip('/')}/{account}"
    return ""
