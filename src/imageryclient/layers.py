"""The layers of a client: which sources, opened when first needed, with the scale each is read at by default."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Literal

from numpy.typing import ArrayLike

from .cachefolder import CacheFolder
from .cave.datastack import Datastack, saved_token
from .cloudpath import CloudPath, parse_source
from .errors import ArgumentError
from .geometry import Resolution
from .pools import together
from .scales import Scale
from .storage import Patience
from .volumes import SegmentationVolume, Volume, default_scale, open_volume, scale_at, scale_for

__all__ = ["Layer", "LayerName", "Layers", "Mip", "Source", "token_finder"]

LayerName = Literal["imagery", "segmentation"]
Mip = int | ArrayLike | None


@dataclass(frozen=True, slots=True)
class Source:
    """Where a layer comes from: a source string or a volume, and the mip to read by default; or nothing at all.

    Parameters
    ----------
    source : str, Volume or None
        The source string, or a volume that is open already.
    mip : int, resolution or None
        None for the first scale that holds data.
    used : bool
        False where the caller switched the layer off.
    """

    source: str | PathLike[str] | Volume | None
    mip: Mip = None
    used: bool = True

    @property
    def text(self) -> str | None:
        """The source string, or the name of the volume."""
        if self.source is None or isinstance(self.source, str):
            return self.source
        return fspath(self.source) if isinstance(self.source, PathLike) else self.source.source

    @property
    def volume(self) -> Volume | None:
        """The volume, if it is open already."""
        return None if self.source is None or isinstance(self.source, (str, PathLike)) else self.source


@dataclass(frozen=True, slots=True)
class Layer:
    """An opened layer and its default scale."""

    name: LayerName
    volume: Volume
    default: Scale

    def scale(self, mip: Mip = None) -> Scale:
        """Give the scale of a mip or a resolution, the default one for None."""
        return self.default if mip is None else scale_at(self.volume.info, mip, self.volume.source)

    def scale_for(self, resolution: Resolution) -> Scale:
        """Give the coarsest scale that is as fine as `resolution` along every axis, or else the finest there is."""
        return scale_for(self.volume.info, resolution)


class Layers:
    """The imagery and the segmentation of a client.

    Parameters
    ----------
    imagery, segmentation : Source
        Where they come from.
    token_for : callable
        Gives the token for a source that asks for one, or None.
    patience : Patience
        Time-outs and tries.
    disk : CacheFolder, optional
        Where chunks from servers are kept between processes.
    """

    def __init__(
        self,
        imagery: Source,
        segmentation: Source,
        token_for: Callable[[CloudPath], str | None],
        patience: Patience,
        disk: CacheFolder | None = None,
    ) -> None:
        self._sources: dict[LayerName, Source] = {"imagery": imagery, "segmentation": segmentation}
        self._token_for = token_for
        self._patience = patience
        self._disk = disk
        self._opened: dict[LayerName, Layer] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> list[LayerName]:
        """The layers there are."""
        return [name for name, source in self._sources.items() if source.used and source.source is not None]

    def source(self, name: LayerName) -> str | None:
        """Give the source string of a layer; of one that was given as a volume or an array, its name."""
        return self._sources[name].text

    def token(self, name: LayerName) -> str | None:
        """Give the token for a layer, None when its source asks for none."""
        path = self.path(name)
        return self._token_for(path) if path is not None and path.middleauth else None

    def path(self, name: LayerName) -> CloudPath | None:
        """Give the source string of a layer, taken apart; None for one that was given as a volume or an array."""
        source = self._sources[name]
        return None if source.volume is not None else parse_source(source.text or "")

    def get(self, *names: LayerName) -> list[Layer]:
        """Give layers, opening at the same time those that are not open yet.

        Raises
        ------
        ArgumentError
            If the client has no such layer.
        """
        for name in names:
            self._check(name)
        with self._lock:
            closed = [name for name in names if name not in self._opened]
            opened = together(*(lambda name=name: self._open(name) for name in closed))
            self._opened.update(zip(closed, opened, strict=True))
        return [self._opened[name] for name in names]

    def _check(self, name: LayerName) -> None:
        source = self._sources[name]
        if not source.used:
            raise ArgumentError(f"this client was made with {name}=False, so it has no {name} to read")
        if source.source is None:
            argument = "image_source" if name == "imagery" else "segmentation_source"
            raise ArgumentError(f"this client has no {name}: pass {argument}= or a CAVEclient when making it")

    def _open(self, name: LayerName) -> Layer:
        volume = self._sources[name].volume
        if volume is None:
            volume = open_volume(self.source(name) or "", self.token(name), self._patience, self._disk)
        if name == "segmentation" and not isinstance(volume, SegmentationVolume):
            dtype = volume.info.dtype
            whole = dtype.kind in "ui"
            said = "info document says type 'image'" if whole else f"voxels are {dtype}, and ids are whole numbers"
            raise ArgumentError(f"{volume.source} holds imagery, not a segmentation: its {said}")
        layer = Layer(name, volume, default_scale(volume.info, volume.source))
        return Layer(name, volume, layer.scale(self._sources[name].mip))


def token_finder(explicit: str | None, datastack: Datastack | None) -> Callable[[CloudPath], str | None]:
    """Give the function that finds the token for a source: the caller's, the CAVEclient's, or a saved one.

    A CAVEclient's token goes to the servers of that client alone.
    """

    def find(path: CloudPath) -> str | None:
        if explicit is not None:
            return explicit
        if datastack is not None and datastack.owns(path):
            return datastack.token()
        return saved_token(path)

    return find
