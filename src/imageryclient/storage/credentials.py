"""Credentials for buckets, where users of each cloud keep them, and where CloudVolume does.

They are looked for in this order, and only once a bucket refuses those without any: the environment, the cloud's own
files, the role of the machine, `~/.cloudvolume/secrets`. What was looked for in vain is noted, for the error message.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["Credentials", "home_file", "machine_answers", "read_document", "secret_files"]

_CONNECT, _ANSWER = 0.3, 1.0  # seconds; what tells roles is on the machine or nowhere


@dataclass(frozen=True, slots=True)
class Credentials:
    """Some credentials for a bucket.

    Parameters
    ----------
    name : str
        What they are and where they are from, without any secret.
    options : mapping
        For obstore's store, beside those that it finds in the environment itself.
    provider : callable, optional
        What obstore is to ask for them.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    provider: Callable[[], Any] | None = field(default=None, repr=False)


def secret_files(service: str, bucket: str) -> Iterator[Path]:
    """Give CloudVolume's files of credentials for a bucket that are there, that of the bucket itself first.

    They are `BUCKET-SERVICE-secret.json` and `SERVICE-secret.json` in the folder `secrets` of CLOUD_VOLUME_DIR
    (`~/.cloudvolume`) or, failing that, of CLOUD_FILES_DIR (`~/.cloudfiles`).
    """
    folders = [
        home_file("CLOUD_VOLUME_DIR", "~/.cloudvolume") / "secrets",
        home_file("CLOUD_FILES_DIR", "~/.cloudfiles") / "secrets",
    ]
    for name in (f"{bucket}-{service}-secret.json", f"{service}-secret.json"):
        yield from [folder / name for folder in folders if (folder / name).is_file()][:1]


def home_file(variable: str, default: str) -> Path:
    """Give the path that an environment variable names, or else the usual one."""
    return Path(os.environ.get(variable) or default).expanduser()


def read_document(path: Path, notes: list[str]) -> dict[str, Any]:
    """Read a JSON document of credentials; an empty one, and a note, where that cannot be done."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        notes.append(f"{path} cannot be read ({type(error).__name__})")
        return {}
    if isinstance(document, dict):
        return document
    notes.append(f"{path} holds no JSON object")
    return {}


@lru_cache(maxsize=8)
def machine_answers(address: str, method: str, headers: tuple[tuple[str, str], ...]) -> bool:
    """Tell whether this machine is one of a cloud's, which tells its role's credentials at a certain address."""
    from urllib3 import PoolManager, Timeout, exceptions

    try:  # never through a proxy, for which the address would mean another machine
        with PoolManager() as pool:
            answer = pool.request(
                method,
                address,
                headers=dict(headers),
                timeout=Timeout(connect=_CONNECT, read=_ANSWER),
                retries=False,
                redirect=False,
            )
    except exceptions.HTTPError:
        return False
    return answer.status < 500
