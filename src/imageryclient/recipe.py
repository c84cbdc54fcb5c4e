"""How a client is made again in another process: its arguments, small to pickle, without any token.

A token must not lie in a pickle, which ends up in files, logs and the messages of a cluster. So the process that makes
the client again finds one as any does: what CAVEclient or CloudVolume saved for the server on that machine. A process
that was forked still has the memory of its parent, and with it the token that was given there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from .dataset import Dataset
from .layers import LayerName
from .volumes import Volume

__all__ = ["Recipe", "recipe_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """The arguments of a client.

    Parameters
    ----------
    kind : type
        Its class.
    arguments : mapping
        Keywords for it; no token, and no CAVEclient: its sources, resolution and moment in its place.
    """

    kind: type[Dataset]
    arguments: Mapping[str, Any] = field(repr=False)

    def make(self) -> Any:
        """Make the client anew, with connections and tokens of this process."""
        return self.kind(**self.arguments)

    def remake(self, inherited: Dataset) -> Any:
        """Make the client anew in a forked process, with the tokens that its parent's client knows."""
        made = self.make()
        made._auth_token = inherited.token
        made._layers._token_for = inherited._layers._token_for
        return made


def recipe_of(client: Dataset, **changed: Any) -> Recipe:
    """Write down how to make a client again.

    Parameters
    ----------
    client : ImageryClient
        The client. One that follows a CAVEclient with a version is made again for the moment of that version.
    **changed
        Arguments to put in the place of the client's, such as `timestamp`.

    Returns
    -------
    Recipe
        Which can be pickled if the arrays that are sources can; a volume that was opened before is named by its source.

    Examples
    --------
    >>> import imageryclient as ic, pickle
    >>> made = recipe_of(ic.ImageryClient(image_source="precomputed://https://example.org/em", auth_token="hidden"))
    >>> b"hidden" in pickle.dumps(made)
    False
    >>> pickle.loads(pickle.dumps(made)).make()
    <ImageryClient: imagery precomputed://https://example.org/em>
    """
    layers, resolution = client._layers, client._default_resolution
    imagery, segmentation = layers._sources["imagery"], layers._sources["segmentation"]
    disk = layers._disk
    arguments = {
        "resolution": "image" if resolution == "imagery" else resolution,
        "imagery": imagery.used,
        "segmentation": segmentation.used,
        "image_source": _named(client, "imagery"),
        "segmentation_source": _named(client, "segmentation"),
        "image_mip": imagery.mip,
        "segmentation_mip": segmentation.mip,
        "timestamp": client._timestamp if client._timestamp is not None else client._version(),
        "missing": client._policy.missing,
        "memory_limit": client._policy.memory_limit,
        "timeout": layers._patience.timeout,
        "cache_dir": None if disk is None else str(disk.path.resolve()),
    }
    return Recipe(type(client), {**arguments, **changed})


def _named(client: Dataset, name: LayerName) -> str | Volume | None:
    """Give a source that means the same in every folder and process."""
    source = client._layers._sources[name].source
    if source is None or isinstance(source, (str, PathLike)):
        if source is None or "://" in fspath(source) or "|" in fspath(source):
            return None if source is None else fspath(source)
        return str(Path(source).expanduser().absolute())
    # What this package opened holds connections; arrays, and volumes of others, are pickled as they are.
    return source.source if hasattr(source, "_store") else source
