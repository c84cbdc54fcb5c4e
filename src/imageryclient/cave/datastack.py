"""What a CAVEclient supplies: where the data are, who may read them, in which voxels, as of when."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..cloudpath import CloudPath, parse_source
from ..errors import AccessError, MissingExtraError, NotFoundError, StorageError
from ..geometry import Resolution, as_resolution
from ..moment import parse_moment

__all__ = ["Datastack", "open_datastack", "saved_token"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Datastack:
    """A CAVEclient, asked only for what this package needs.

    Parameters
    ----------
    client : caveclient.CAVEclient
        Or anything with the same `info`, `auth` and `timestamp`.
    """

    client: Any = field(repr=False)

    def image_source(self) -> str:
        """Give the source string of the imagery."""
        return str(self.client.info.image_source())

    def segmentation_source(self) -> str:
        """Give the source string of the segmentation."""
        return str(self.client.info.segmentation_source())

    def resolution(self) -> Resolution:
        """Give the resolution that coordinates of this datastack are meant in, nm per voxel."""
        return as_resolution(self.client.info.viewer_resolution())

    def token(self) -> str | None:
        """Give the user's token."""
        token = getattr(getattr(self.client, "auth", None), "token", None)
        return str(token) if token else None

    def moment(self) -> datetime | None:
        """Give the moment of the client's version, as it is now; None when the client is live."""
        timestamp = getattr(self.client, "timestamp", None)
        return None if timestamp is None else parse_moment(timestamp)

    def owns(self, path: CloudPath) -> bool:
        """Say whether a source is on a server that the client's token was made for.

        Those are the client's own servers, and the one that serves its datastack's segmentation.
        """
        addresses = (getattr(self.client, name, None) for name in ("server_address", "local_server"))
        hosts = {urlsplit(address).netloc for address in addresses if isinstance(address, str)}
        return path.host in hosts or path == parse_source(self.segmentation_source())


def saved_token(path: CloudPath) -> str | None:
    """Give the token that CAVEclient or CloudVolume saved for the server of a source, if there is one.

    They keep it in `~/.cloudvolume/secrets`, as `HOST-cave-secret.json` or, for all CAVE servers,
    `cave-secret.json`.
    """
    folder = Path("~/.cloudvolume/secrets").expanduser()
    for name in (f"{path.host}-cave-secret.json", "cave-secret.json"):
        try:
            token = json.loads((folder / name).read_text(encoding="utf-8")).get("token")
        except (OSError, ValueError, AttributeError):
            continue
        if token:
            log.debug("using the token saved for %s", path.host)
            return str(token)
    return None


def open_datastack(name: str, server: str | None = None, version: int | None = None, token: str | None = None) -> Any:
    """Make a CAVEclient.

    Parameters
    ----------
    name : str
        The datastack.
    server : str, optional
        Its CAVE server; by default the one caveclient remembers for it, or the usual one.
    version : int, optional
        A materialization version, which fixes the moment.
    token : str, optional
        By default the one caveclient saved.

    Raises
    ------
    MissingExtraError
        If caveclient is not installed.
    NotFoundError
        If the server knows no such datastack.
    AccessError, StorageError
        If it refuses the token, or does not answer.
    """
    try:
        from caveclient import CAVEclient
    except ImportError:
        raise MissingExtraError("a CAVE datastack needs caveclient: pip install 'imageryclient[cave]'") from None
    from requests import exceptions

    options = {"server_address": server, "version": version, "auth_token": token}
    given = {key: value for key, value in options.items() if value is not None}
    where = server or "its CAVE server"
    try:
        return CAVEclient(name, write_server_cache=False, **given)
    except exceptions.HTTPError as error:
        status = None if error.response is None else error.response.status_code
        if status == 404:
            raise NotFoundError(f"{where} knows no datastack {name!r} (404); check its name") from None
        if status in (401, 403):
            raise AccessError(
                f"{where} refused to tell about the datastack {name!r} ({status}): the token is missing, not accepted, "
                "or has no permission. Keep a valid one with CAVEclient().auth.save_token(token=…), or pass it as token"
            ) from None
        raise StorageError(
            f"{where} answered {status} when asked about the datastack {name!r}; try again later"
        ) from None
    except exceptions.RequestException as error:
        raise StorageError(
            f"{where} cannot be reached ({type(error).__name__}); check the address and the network"
        ) from None
