"""Ways to reach a bucket: without credentials at its public address, and with each of those that are found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..cache import Payload
from ..errors import StorageError
from . import direct
from .address import Bucket
from .base import Patience, Span
from .credentials import Credentials
from .failures import WrongRegionError
from .network import client_options, retry_config
from .transfer import CredentialError, Transfer
from .web import open_web

__all__ = ["Way", "ways_to"]

_CURE = "these credentials have no permission"
_DEFAULT_REGION = "us-east-1"


class Way:
    """One way to reach a bucket.

    Parameters
    ----------
    bucket : Bucket
        Which.
    patience : Patience
        Time-outs and tries.
    credentials : Credentials, optional
        None for the public address, where requests are not signed.
    """

    def __init__(self, bucket: Bucket, patience: Patience, credentials: Credentials | None = None) -> None:
        self.name = "without credentials" if credentials is None else credentials.name
        self._bucket = bucket
        self._patience = patience
        self._credentials = credentials
        self._region: str | None = None
        self._transfer, self._prefix = self._open()

    def read(self, path: str, span: Span, place: str) -> Payload:
        """Read as `Transfer.read` does; where the bucket lies in another region, go there."""
        try:
            return self._transfer.read(f"{self._prefix}{path}", span, place)
        except WrongRegionError as error:
            self._move(error.region, place)
        try:
            return self._transfer.read(f"{self._prefix}{path}", span, place)
        except WrongRegionError:
            raise StorageError(
                f"{place}: the bucket lies in another region than {self._region}; set AWS_REGION to its own"
            ) from None

    def forget(self, path: str) -> None:
        """Drop what is at hand of a path."""
        self._transfer.forget(f"{self._prefix}{path}")

    def _move(self, region: str | None, place: str) -> None:
        server, prefix = self._bucket.public()
        region = region or direct.region_of(f"{server}/{prefix}", self._patience)
        if region is None:
            raise StorageError(
                f"{place}: the bucket lies in another region than {self._region or _DEFAULT_REGION}, and the server "
                "does not say in which; set AWS_REGION to it"
            )
        if region != self._region:
            self._region = region
            self._transfer, self._prefix = self._open()

    def _open(self) -> tuple[Transfer, str]:
        bucket = self._bucket
        server, prefix = bucket.public(self._region)
        if self._credentials is None:
            return open_web(server, None, self._patience, suffixes=bucket.cloud != "az"), prefix
        try:
            store = self._store(self._credentials)
        except Exception as error:  # a key that cannot be read, for example
            reason = str(error).split("\n\nDebug source")[0]
            raise CredentialError(f"{self.name} cannot be used: {' '.join(reason.split())[:200]}") from None
        return Transfer(store, server, self._patience, _CURE, suffixes=bucket.cloud != "az"), ""

    def _store(self, credentials: Credentials) -> Any:
        from obstore.store import AzureStore, GCSStore, S3Store

        bucket = self._bucket
        options: Any = dict(credentials.options)
        headers = {"Accept-Encoding": "gzip"} if bucket.cloud == "gs" else None
        server = bucket.endpoint or "https://"
        common: dict[str, Any] = {
            "client_options": client_options(server, self._patience, headers),
            "retry_config": retry_config(self._patience),
            "credential_provider": credentials.provider,
        }
        if bucket.cloud == "s3":
            from .amazon import profile_region

            options["region"] = self._region or options.get("region") or profile_region() or _DEFAULT_REGION
            self._region = options["region"]
            options.update(skip_signature=False, virtual_hosted_style_request=False)
            options["endpoint"] = options["aws_endpoint_url_s3"] = (
                bucket.endpoint or f"https://s3.{self._region}.amazonaws.com"
            )
            return S3Store(bucket.name, config=options, **common)
        if bucket.cloud == "gs":
            options.update(skip_signature=False, base_url=bucket.endpoint or "https://storage.googleapis.com")
            return GCSStore(bucket.name, config=options, **common)
        if bucket.endpoint:
            options.update(endpoint=bucket.endpoint, use_emulator=False)
        options.update(account_name=bucket.account, skip_signature=False)
        return AzureStore(bucket.name, config=options, **common)


def ways_to(bucket: Bucket, patience: Patience, notes: list[str]) -> Iterator[Way]:
    """Give the ways to reach a bucket, that without credentials first; each is made when it is its turn.

    Parameters
    ----------
    bucket : Bucket
        Which.
    patience : Patience
        Time-outs and tries.
    notes : list of str
        Takes what was looked for in vain, for error messages.
    """
    yield Way(bucket, patience)
    from .amazon import amazon_credentials
    from .azure import azure_credentials
    from .google import google_credentials

    if bucket.cloud == "s3":
        found = amazon_credentials(bucket.name, notes)
    elif bucket.cloud == "gs":
        found = google_credentials(bucket, notes)
    else:
        found = azure_credentials(bucket, notes)
    for credentials in found:
        try:
            way = Way(bucket, patience, credentials)
        except CredentialError as error:
            notes.append(str(error))
        else:
            yield way
