"""Credentials for Azure's containers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from .address import Bucket
from .credentials import Credentials, machine_answers
from .masking import keep_secret

__all__ = ["azure_credentials"]

_KEYS = ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_MASTER_KEY")
_SIGNED = ("AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_SAS_TOKEN")
_BEARERS = ("AZURE_STORAGE_TOKEN", "AZURE_CLIENT_SECRET", "AZURE_STORAGE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE")


def azure_credentials(bucket: Bucket, notes: list[str]) -> Iterator[Credentials]:
    """Give credentials for an account, one after the other; `notes` takes what was looked for in vain.

    Parameters
    ----------
    bucket : Bucket
        Which container. A server that a source names gets none, and one that the environment names those given
        beside it.
    notes : list of str
        For error messages.
    """
    if not bucket.trusted:
        notes.append("none are sent to a server that a source names")
        return
    connection = _of_connection_string(bucket.account, notes)
    if connection is not None:
        yield connection
    given = next((name for name in (*_KEYS, *_SIGNED, *_BEARERS) if os.environ.get(name)), None)
    if given is None and os.environ.get("AZURE_STORAGE_USE_EMULATOR", "").lower() in ("1", "true"):
        given = "AZURE_STORAGE_USE_EMULATOR"
    if given:
        for name in (*_KEYS, *_SIGNED, *_BEARERS):
            keep_secret(os.environ.get(name))
        yield Credentials(f"{given} of the environment")
    else:
        notes.append(f"{_KEYS[0]}, {_SIGNED[1]} and {_BEARERS[0]} are not set")
    if bucket.endpoint:
        return
    if shutil.which("az"):
        yield Credentials("the Azure command line", {"credential_type": "azure_cli"})
    else:
        notes.append("the Azure command line (az) is not installed")
    asking = (("Metadata", "true"),)
    if os.environ.get("IDENTITY_ENDPOINT") or machine_answers(
        "http://169.254.169.254/metadata/instance?api-version=2021-02-01", "GET", asking
    ):
        yield Credentials("the role of this machine", {"credential_type": "managed_identity"})
    else:
        notes.append("this machine has no role")


def _of_connection_string(account: str, notes: list[str]) -> Credentials | None:
    text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    if not text:
        return None
    parts = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
    if parts.get("AccountName", account) != account:
        notes.append(f"AZURE_STORAGE_CONNECTION_STRING is of the account {parts['AccountName']}")
        return None
    name = "AZURE_STORAGE_CONNECTION_STRING of the environment"
    if parts.get("AccountKey"):
        keep_secret(parts["AccountKey"])
        return Credentials(name, {"account_key": parts["AccountKey"], "credential_type": "access_key"})
    if parts.get("SharedAccessSignature"):
        keep_secret(parts["SharedAccessSignature"])
        return Credentials(name, {"sas_key": parts["SharedAccessSignature"], "credential_type": "sas_token"})
    notes.append("AZURE_STORAGE_CONNECTION_STRING names no key")
    return None
