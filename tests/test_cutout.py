"""A cutout: its arrays and what they are, its pictures, its files."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imageryclient as ic
from imageryclient.coverage import Coverage
from imageryclient.cutout import Cutout
from imageryclient.errors import ArgumentError, NotFoundError
from imageryclient.geometry import Box
from imageryclient.painting.options import PAINTED

AT = (8.0, 8.0, 40.0)
MOMENT = datetime(2024, 5, 1, 12, tzinfo=UTC)
RNG = np.random.default_rng(6)


def made(shape: tuple[int, int, int] = (12, 9, 1), layers: str = "both", colors: bool = False) -> Cutout:
    box = Box((10, 20, 30), tuple(10 * n + s for n, s in enumerate(shape, 1)), AT)
    image = RNG.integers(0, 256, (*shape, 3) if colors else shape, dtype=np.uint8)
    segmentation = np.zeros(shape, np.uint64)
    segmentation[: shape[0] // 2] = 2**60 + 1
    segmentation[shape[0] // 2 :, 2:] = 7
    return Cutout(
        image=image if layers != "segmentation" else None,
        segmentation=segmentation if layers != "imagery" else None,
        bounds=box,
        timestamp=MOMENT if layers != "imagery" else None,
        coverage={"imagery": Coverage(box, outside=(Box(box.start, (11, 20 + shape[1], 30 + shape[2]), AT),))},
        sources={"imagery": "precomputed://gs://bucket/em"},
        mips={"imagery": 1},
    )


def pixels(picture: Image.Image | Path) -> np.ndarray:
    if isinstance(picture, Path):
        with Image.open(picture) as opened:
            return np.asarray(opened)
    return np.asarray(picture)


# ---- what it is -------------------------------------------------------------------------------------------------


def test_what_a_client_gives(datastack: Any, server: Any, connect: Any) -> None:
    client = connect(server())
    cut = client.cutout(datastack.middle, (40, 30, 3))
    low = np.array(datastack.middle) - [20, 15, 1]
    assert cut.bounds == Box(tuple(low), tuple(low + [40, 30, 3]), AT)
    assert (cut.shape, cut.resolution) == ((40, 30, 3), AT)
    assert np.array_equal(cut.image, datastack.image(low, low + [40, 30, 3]))
    expected = datastack.roots(low, low + [40, 30, 3], datastack.late.timestamp())
    assert cut.segmentation.dtype == np.uint64
    assert np.array_equal(cut.segmentation, expected)
    assert cut.timestamp == datastack.late
    assert cut.mips == {"imagery": 1, "segmentation": 0}
    assert cut.sources == {"imagery": client.image_source, "segmentation": client.segmentation_source}
    assert all(cut.coverage[name].complete for name in ("imagery", "segmentation"))
    assert list(cut.masks) == np.unique(expected)[np.unique(expected) > 0].tolist()
    for root, mask in cut.masks.items():
        assert np.array_equal(mask, expected == root)
    assert cut.masks is cut.masks
    moment = f"{datastack.late:%Y-%m-%d %H:%M:%S} UTC"
    assert repr(cut) == f"<Cutout of imagery and segmentation, 40 x 30 x 3 voxels of 8 x 8 x 40 nm, at {moment}>"
    assert pickle.loads(pickle.dumps(cut)).bounds == cut.bounds


def test_a_flat_segmentation_has_no_moment(datastack: Any) -> None:
    client = ic.ImageryClient(segmentation_source=str(datastack.folder / "supervoxels"), timestamp=MOMENT)
    cut = client.cutout(datastack.middle, (10, 10))
    assert cut.timestamp is None
    assert cut.image is None
    assert "UTC" not in repr(cut)


def test_metadata_is_ready_for_json() -> None:
    cut = made()
    text = json.loads(json.dumps(cut.metadata()))
    assert text["imageryclient"] == ic.__version__
    assert text["bounds"] == {"start": [10, 20, 30], "stop": [22, 29, 31], "resolution": [8.0, 8.0, 40.0]}
    assert text["timestamp"] == "2024-05-01T12:00:00+00:00"
    assert text["sources"] == {"imagery": "precomputed://gs://bucket/em"}
    assert text["mips"] == {"imagery": 1}
    assert text["covered"]["imagery"] == pytest.approx(11 / 12)
    assert made(layers="imagery").metadata()["timestamp"] is None


def test_masks_need_a_segmentation() -> None:
    with pytest.raises(ArgumentError, match="no segmentation"):
        _ = made(layers="imagery").masks


# ---- pictures ---------------------------------------------------------------------------------------------------


def test_the_overlay_of_a_section_is_that_of_composite_overlay() -> None:
    cut = made()
    picture = cut.overlay(palette="tab10", alpha=0.5)
    expected = ic.composite_overlay(cut.segmentation[:, :, 0], imagery=cut.image[:, :, 0], palette="tab10", alpha=0.5)
    assert (picture.mode, picture.size) == ("RGBA", (12, 9))
    assert np.array_equal(pixels(picture), pixels(expected))


def test_the_overlay_of_a_stack_is_a_list() -> None:
    cut = made((12, 9, 4), colors=True)
    pictures = cut.overlay(outline=True, width=1)
    expected = ic.composite_overlay(cut.masks, imagery=cut.image, outline=True, alpha=0.8, **{**PAINTED, "width": 1})
    assert len(pictures) == 4
    assert all(np.array_equal(pixels(a), pixels(b)) for a, b in zip(pictures, expected, strict=True))


def test_overlays_of_one_layer() -> None:
    alone = made(layers="imagery")
    shown = pixels(alone.overlay())
    assert np.array_equal(shown[..., 0], alone.image[:, :, 0].T)
    assert np.all(shown[..., 3] == 255)
    assert [p.size for p in made((5, 4, 3), layers="imagery", colors=True).overlay()] == [(5, 4)] * 3
    colors = pixels(made(layers="segmentation").overlay(colors={7: "red", 2**60 + 1: "blue"}, alpha=1))
    assert colors[5, 0].tolist() == [0, 0, 255, 255]
    assert colors[5, 11].tolist() == [255, 0, 0, 255]
    assert colors[0, 11].tolist() == [0, 0, 0, 0]
    empty = Cutout(None, None, Box((0, 0, 0), (1, 1, 1), AT))
    with pytest.raises(ArgumentError, match="neither imagery nor segmentation"):
        empty.overlay()
    assert empty._repr_png_() is None
    assert "nothing" in repr(empty)


def test_a_segmentation_of_nothing_shows_the_imagery() -> None:
    cut = made((12, 9, 2))
    blank = Cutout(cut.image, np.zeros_like(cut.segmentation), cut.bounds)
    shown = [pixels(picture) for picture in blank.overlay()]
    assert np.array_equal(shown[1][..., 0], cut.image[:, :, 1].T)
    assert len(blank.masks) == 0


def test_a_notebook_shows_the_middle_section() -> None:
    cut = made((12, 9, 3))
    assert cut._repr_png_().startswith(b"\x89PNG")
    assert made()._repr_png_().startswith(b"\x89PNG")


# ---- files ------------------------------------------------------------------------------------------------------


def test_png_files(tmp_path: Path) -> None:
    cut = made()
    (file,) = cut.save(tmp_path / "figure.PNG", alpha=0.7)
    assert file.name == "figure.PNG"
    assert np.array_equal(pixels(file), pixels(cut.overlay(alpha=0.7)))
    stack = made((12, 9, 3))
    files = stack.save(str(tmp_path / "stack.png"))
    assert [file.name for file in files] == [f"stack_slice_{n}.png" for n in range(3)]
    for file, picture in zip(files, stack.overlay(), strict=True):
        assert np.array_equal(pixels(file), pixels(picture))
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("layers", ["both", "imagery", "segmentation"])
def test_npz_files(tmp_path: Path, layers: str) -> None:
    cut = made((5, 4, 3), layers)
    (file,) = cut.save(tmp_path / "cut.npz")
    with np.load(file, allow_pickle=False) as arrays:
        names = {"both": {"image", "segmentation"}, "imagery": {"image"}, "segmentation": {"segmentation"}}[layers]
        assert set(arrays) == {"metadata", *names}
        for name in names:
            assert np.array_equal(arrays[name], getattr(cut, name))
            assert arrays[name].dtype == getattr(cut, name).dtype
        assert json.loads(str(arrays["metadata"])) == cut.metadata() | {
            "bounds": json.loads(json.dumps(cut.metadata()["bounds"]))
        }


def test_only_what_can_be_written_is(tmp_path: Path) -> None:
    for name in ("cut.bmp", "cut", "cut.npy", ".png"):
        with pytest.raises(ArgumentError, match=r"saved as \.png"):
            made().save(tmp_path / name)
    with pytest.raises(NotFoundError, match="no folder"):
        made().save(tmp_path / "absent" / "cut.png")
    with pytest.raises(ArgumentError):
        made().save(tmp_path / "cut.png", alpha=7)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["cut.png", "cut.npz"])
@pytest.mark.parametrize("shape", [(12, 9, 1), (12, 9, 3)])
def test_a_save_that_fails_leaves_nothing_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, shape: Any
) -> None:
    before = tmp_path / ("cut_slice_0.png" if shape[2] > 1 and name == "cut.png" else name)
    before.write_bytes(b"of yesterday")
    calls = 0

    def full(original: Any) -> Any:
        def write(self: Any, target: Any, *rest: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == (shape[2] if name == "cut.png" else 1):
                Path(target if isinstance(target, Path) else self).write_text("half")
                raise OSError("no space left")
            return original(self, target, *rest, **options)

        return write

    if name == "cut.png":
        monkeypatch.setattr(Image.Image, "save", full(Image.Image.save))
    else:
        write_text = Path.write_text

        def write_bytes(self: Path, data: bytes) -> int:
            write_text(self, "half")
            raise OSError("no space left")

        monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(OSError, match="no space left"):
        made(shape).save(tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == [before.name]
    assert before.read_bytes() == b"of yesterday"
