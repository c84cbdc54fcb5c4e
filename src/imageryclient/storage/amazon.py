"""Credentials for S3, and for the many servers that follow its rules."""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .credentials import Credentials, home_file, machine_answers, read_document, secret_files
from .masking import keep_secret

__all__ = ["amazon_credentials", "profile_region"]

_METADATA = "http://169.254.169.254"
_ROLES = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE")
_NEEDS_BOTO = ("role_arn", "sso_session", "sso_start_url", "credential_process", "login_session")


def amazon_credentials(bucket: str, notes: list[str]) -> Iterator[Credentials]:
    """Give credentials for a bucket, one after the other; `notes` takes what was looked for in vain.

    obstore finds those of the environment and of the machine; the profile of `~/.aws` is read here, and where it needs
    more than keys (single sign-on, roles), boto3 reads it, if installed.
    """
    environment = _of_environment(notes)
    if environment is not None:
        yield environment
    profile = _of_profile(notes)
    if profile is not None:
        yield profile
    if environment is None and _has_role(notes):
        yield Credentials("the role of this machine")
    path = None
    for path in secret_files("aws", bucket):
        document = read_document(path, notes)
        key, secret = document.get("AWS_ACCESS_KEY_ID"), document.get("AWS_SECRET_ACCESS_KEY")
        if key and secret:
            region = document.get("AWS_DEFAULT_REGION")
            yield _static(str(path), key, secret, document.get("AWS_SESSION_TOKEN"), region)
        else:
            notes.append(f"{path} names no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if path is None:
        notes.append(f"~/.cloudvolume/secrets holds no {bucket}-aws-secret.json or aws-secret.json")


def profile_region() -> str | None:
    """Give the region that the environment or the profile names."""
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if os.environ.get(variable):
            return os.environ[variable]
    return _profile().get("region")


def _of_environment(notes: list[str]) -> Credentials | None:
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        keep_secret(os.environ.get("AWS_SECRET_ACCESS_KEY"))
        keep_secret(os.environ.get("AWS_SESSION_TOKEN"))
        return Credentials("AWS_ACCESS_KEY_ID of the environment")
    role = next((name for name in _ROLES if os.environ.get(name)), None)
    if role is None:
        notes.append("AWS_ACCESS_KEY_ID is not set")
        return None
    return Credentials(f"the role that {role} names")


def _of_profile(notes: list[str]) -> Credentials | None:
    name, values = _profile_name(), _profile()
    key, secret = values.get("aws_access_key_id"), values.get("aws_secret_access_key")
    if key and secret:
        return _static(f"the AWS profile {name!r}", key, secret, values.get("aws_session_token"), values.get("region"))
    if not any(word in values for word in _NEEDS_BOTO):
        notes.append(f"~/.aws has no keys for the profile {name!r}")
        return None
    if find_spec("boto3") is None:
        notes.append(f"the AWS profile {name!r} takes boto3 to read: pip install boto3")
        return None
    try:
        session = import_module("boto3").Session(profile_name=name)
        provider: Callable[[], Any] = import_module("obstore.auth.boto3").Boto3CredentialProvider(session)
    except Exception as error:  # boto3's are many, such as a sign-on that has expired
        notes.append(f"the AWS profile {name!r} gives no credentials ({type(error).__name__})")
        return None
    return Credentials(f"the AWS profile {name!r}", _region(values.get("region")), provider)


def _static(name: str, key: str, secret: str, token: str | None, region: str | None) -> Credentials:
    # A provider, as obstore would mix options with what else the environment holds.
    keep_secret(secret)
    keep_secret(token)
    told = {"access_key_id": key, "secret_access_key": secret, "token": token, "expires_at": None}
    return Credentials(name, _region(region), lambda: told)


def _region(region: str | None) -> dict[str, str]:
    return {"region": region} if region else {}


def _has_role(notes: list[str]) -> bool:
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return False
    address = os.environ.get("AWS_METADATA_ENDPOINT") or _METADATA
    asking = (("X-aws-ec2-metadata-token-ttl-seconds", "60"),)
    if machine_answers(f"{address}/latest/api/token", "PUT", asking):
        return True
    notes.append("this machine has no role")
    return False


def _profile_name() -> str:
    return os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE") or "default"


def _profile() -> dict[str, str]:
    """Read the profile of the two files in `~/.aws`; credentials go before what config says."""
    name = _profile_name()
    files = (
        (home_file("AWS_CONFIG_FILE", "~/.aws/config"), name if name == "default" else f"profile {name}"),
        (home_file("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), name),
    )
    values: dict[str, str] = {}
    for path, section in files:
        values.update(_section(path, section))
    return values


def _section(path: Path, section: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except (OSError, configparser.Error, UnicodeDecodeError):
        return {}
    return dict(parser.items(section)) if parser.has_section(section) else {}
