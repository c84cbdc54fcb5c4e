"""The demo: a made volume, served as a CAVE, cut out and painted through the real caveclient."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..cave.datastack import open_datastack
from ..client import ImageryClient
from ..errors import NotFoundError
from ..geometry import as_resolution
from ..painting.overlay import composite_overlay
from ..volumes import default_scale, open_volume
from .build import build_phantom
from .server import DemoServer

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["center_of", "lines_to_use", "paint_center", "run_tutorial"]


def run_tutorial(folder: Path, output: Path, say: Callable[[str], object]) -> None:
    """Make the phantom in `folder`, serve it, paint its centre and write the picture to `output`.

    Parameters
    ----------
    folder : path
        Where the volume goes; one that is there already is used again.
    output : path
        The PNG to write.
    say : callable
        Is told, line by line, what was done.
    """
    from ..files.export import save_png_atomic

    begin = time.perf_counter()
    if (folder / "demo.json").exists():
        say(f"using the volume in {folder}")
    else:
        build_phantom(folder)
        say(f"made a volume of electron microscopy and its segmentation ({time.perf_counter() - begin:.1f} s)")
    with DemoServer(folder) as server:
        say(f"served it as the CAVE datastack {server.datastack!r} at {server.url}")
        begin = time.perf_counter()
        picture, ids = paint_center(server)
        took = time.perf_counter() - begin
        say(f"cut out 512 x 512 voxels around {center_of(server)} with caveclient and imageryclient, {ids} objects")
        save_png_atomic(picture, output)
    say(f"painted them ({took:.2f} s): {output.resolve()}")


def paint_center(server: DemoServer) -> tuple[Image.Image, int]:
    """Do what the tutorial does: cut out the centre of the served volume; give its overlay and the number of ids."""
    client = open_datastack(server.datastack or "", server.url, None, server.token)
    img_client = ImageryClient(client=client)
    image, segs = img_client.image_and_segmentation_cutout(
        center_of(server), split_segmentations=True, bbox_size=(512, 512), scale_to_bounds=True
    )
    picture = composite_overlay(segs, imagery=image, palette="husl")
    assert not isinstance(picture, list)
    return picture.convert("RGB"), len(segs)


def center_of(server: DemoServer) -> list[int]:
    """Give the middle of the imagery in voxels of the viewer, as Neuroglancer would show it.

    Raises
    ------
    NotFoundError
        If the server has no datastack.
    """
    low, high = _extent(server)
    return [(a + b) // 2 for a, b in zip(low, high, strict=True)]


def _extent(server: DemoServer) -> tuple[list[int], list[int]]:
    """Give the corners of the imagery in voxels of the viewer."""
    if server.datastack is None:
        raise NotFoundError(f"{server.folder} holds no datastack: there is no demo.json in it")
    about = json.loads((server.folder / "demo.json").read_text(encoding="utf-8"))
    volume = open_volume(str(server.folder / about["layers"]["imagery"]))
    box = default_scale(volume.info, volume.source).bounds.at(as_resolution(about["viewer_resolution"]))
    return list(box.start), list(box.stop)


def lines_to_use(server: DemoServer) -> str:
    """Give the lines of Python that use what is served."""
    if server.datastack is None:
        layers = ", ".join(f"{name}: precomputed://{url}" for name, url in server.layers.items())
        return f"its layers are {layers}" if layers else "no folder in it holds an info document; its files are served"
    low, high = _extent(server)
    size = tuple(min(512, b - a) for a, b in zip(low, high, strict=True))[:2]
    token = "" if server.token is None else f", auth_token={server.token!r}"
    return "\n".join(
        (
            "import caveclient, imageryclient as ic",
            f"client = caveclient.CAVEclient({server.datastack!r}, server_address={server.url!r}{token})",
            f"ic.ImageryClient(client=client).cutout({center_of(server)}, size={size}).overlay().show()",
        )
    )
