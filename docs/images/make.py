"""Make the pictures of the README: `python docs/images/make.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import imageryclient as ic
from imageryclient.demo.build import build_phantom
from imageryclient.demo.server import DemoServer
from imageryclient.demo.tutorial import center_of

with tempfile.TemporaryDirectory() as folder, DemoServer(build_phantom(folder)) as server:
    client = ic.ImageryClient(
        image_source=f"precomputed://{server.url}/data/imagery",
        segmentation_source=f"graphene://{server.url}/segmentation/table/{server.table}",
        auth_token=server.token,
        resolution=(4, 4, 40),
    )
    cut = client.cutout(center_of(server), size=(800, 800))
    filled = cut.overlay(alpha=0.35)
    outlined = cut.overlay(outline=True, merge_outline=False, side="in", width=2, alpha=0.9)
    ic.stack_images([filled, outlined]).save(Path(__file__).with_name("demo.png"), optimize=True)
