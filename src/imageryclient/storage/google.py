"""Credentials for Google's buckets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .address import Bucket
from .credentials import Credentials, home_file, machine_answers, read_document, secret_files
from .masking import keep_secret

__all__ = ["google_credentials"]

_GIVEN = (
    "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_BEARER_TOKEN",
)  # fmt: skip
_READ_BY_OBSTORE = ("service_account", "authorized_user")


def google_credentials(bucket: Bucket, notes: list[str]) -> Iterator[Credentials]:
    """Give credentials for a bucket, one after the other; `notes` takes what was looked for in vain.

    Parameters
    ----------
    bucket : Bucket
        Which. All credentials of Google's are, in the end, bearer tokens, which let whoever gets them act for the user.
        So a server that a source names gets none, and one that the environment names those given beside it.
    notes : list of str
        For error messages.
    """
    if not bucket.trusted:
        notes.append("none are sent to a server that a source names")
        return
    given = next((name for name in _GIVEN if os.environ.get(name)), None)
    if given:
        keep_secret(os.environ.get("GOOGLE_BEARER_TOKEN"))
        yield Credentials(f"{given} of the environment")
    else:
        notes.append("GOOGLE_SERVICE_ACCOUNT is not set")
    if bucket.endpoint:
        notes.append("no others are sent to a server that is not Google's")
        return
    default = _of_gcloud(notes)
    if default is not None:
        yield default
    elif _has_role(notes):
        yield Credentials("the role of this machine")
    path = None
    for path in secret_files("google", bucket.name):
        document = read_document(path, notes)
        if document.get("type", "service_account") == "service_account":
            if document:
                yield Credentials(str(path), {"service_account": str(path)})
        else:
            notes.append(f"{path} is not a service account's")
    if path is None:
        notes.append(f"~/.cloudvolume/secrets holds no {bucket.name}-google-secret.json or google-secret.json")


def _of_gcloud(notes: list[str]) -> Credentials | None:
    """Read the application default credentials; those of a kind that obstore does not know through google-auth."""
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if os.name == "nt":
        usual = Path(os.environ.get("APPDATA", "~")) / "gcloud"
    else:
        usual = Path("~/.config/gcloud")
    path = Path(named) if named else home_file("CLOUDSDK_CONFIG", str(usual)) / "application_default_credentials.json"
    path = path.expanduser()
    title = "GOOGLE_APPLICATION_CREDENTIALS" if named else "gcloud's application default credentials"
    if not path.is_file():
        notes.append(f"{title}: {path} is not there" if named else f"{title} are not there (gcloud auth login)")
        return None
    kind = read_document(path, notes).get("type")
    if kind in _READ_BY_OBSTORE:
        return Credentials(title, {"application_credentials": str(path)})
    if kind is None:
        return None
    if find_spec("google") is None or find_spec("google.auth") is None:
        notes.append(
            f"{title} are of the type {kind}, which takes google-auth to read: pip install google-auth requests"
        )
        return None
    try:
        provider: Callable[[], Any] = import_module("obstore.auth.google").GoogleCredentialProvider()
    except Exception as error:  # google-auth's are many
        notes.append(f"{title} give no credentials ({type(error).__name__})")
        return None
    return Credentials(title, {}, provider)


def _has_role(notes: list[str]) -> bool:
    host = os.environ.get("GCE_METADATA_HOST") or os.environ.get("GCE_METADATA_ROOT")
    host = host or os.environ.get("GCE_METADATA_IP") or "169.254.169.254"
    if os.environ.get("NO_GCE_CHECK", "").lower() != "true" and machine_answers(
        f"http://{host}/computeMetadata/v1/", "GET", (("Metadata-Flavor", "Google"),)
    ):
        return True
    notes.append("this machine has no role")
    return False
