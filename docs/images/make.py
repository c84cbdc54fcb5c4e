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
    cut = client.cutout(center_of(server), size=(512, 512))
    shown = [
        cut.overlay(alpha=0.35, zoom=2, scale_bar=True),
        cut.overlay(outline=True, fill=0.12, smooth=True, width=3, labels=True, zoom=2),
    ]
    ic.stack_images(shown).save(Path(__file__).with_name("demo.png"), optimize=True)
