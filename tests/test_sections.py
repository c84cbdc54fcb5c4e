"""Sections of the datastack beside sampling pixel by pixel; missing data and ids; memory; views that are tilted or move
layers."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import imageryclient as ic
from conftest import Stack
from imageryclient.cli import main
from imageryclient.demo.server import DEMO_TOKEN, DemoServer
from imageryclient.errors import (
    ArgumentError,
    IdWarning,
    MissingDataError,
    MissingDataWarning,
    OutOfBoundsError,
    ScaleError,
    TooLargeError,
)
from imageryclient.neuroglancer.links import parse_link
from imageryclient.section import Section
from imageryclient.sectioncutout import SectionCutout

CENTER = (200.3, 140.2, 24.4)  # in voxels of 8 x 8 x 40, amid the data


def brute(
    section: Section, array: np.ndarray, offset: Any, resolution: Any, inward: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Sample an array, 0 beyond it, pixel by pixel in fractions; and tell which pixels lie too near an edge to say."""
    width, height = section.size
    values, near = np.zeros((width, height), array.dtype), np.zeros((width, height), bool)
    axes = section.axes
    for i in range(width):
        for j in range(height):
            a, b = i + 0.5 - width / 2, j + 0.5 - height / 2
            nm = [
                Fraction(section.center[k]) + Fraction(section.nm_per_pixel) * Fraction(a * axes[k, 0] + b * axes[k, 1])
                for k in range(3)
            ]
            if inward is not None:
                nm = [
                    sum(Fraction(m) * n for m, n in zip(row[:3], nm, strict=True)) + Fraction(row[3]) for row in inward
                ]
            places = [n / Fraction(r) for n, r in zip(nm, resolution, strict=True)]
            voxel = [math.floor(p) - o for p, o in zip(places, offset, strict=True)]
            near[i, j] = any(abs(p - round(p)) < 1e-5 for p in places)
            if all(0 <= v < n for v, n in zip(voxel, array.shape, strict=True)):
                values[i, j] = array[tuple(voxel)]
    return values, near


def agree(
    found: np.ndarray | None, section: Section, array: np.ndarray, offset: Any, resolution: Any, **more: Any
) -> None:
    values, near = brute(section, array, offset, resolution, **more)
    assert found is not None
    assert found.shape == values.shape
    assert near.mean() < 0.02
    assert np.array_equal(found[~near], values[~near])


@pytest.mark.parametrize("seed", range(6))
def test_each_pixel_takes_the_voxel_that_holds_its_centre(
    server: Callable[..., DemoServer], connect: Callable[..., ic.ImageryClient], datastack: Stack, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    client = connect(server(), missing="fill")
    size, nm, panel = (rng.integers(20, 70), rng.integers(20, 50)), rng.uniform(3, 30), ("xy", "xz", "yz")[seed % 3]
    mip = 1 + seed % 2
    cut = client.section(
        CENTER, size, orientation=rng.normal(size=4), panel=panel, nm_per_pixel=nm, image_mip=mip, segmentation_mip=0
    )  # fmt: skip
    assert cut.shape == tuple(size)
    assert cut.section.center == pytest.approx([c * r for c, r in zip(CENTER, datastack.fine, strict=True)])
    resolution = datastack.fine if mip == 1 else datastack.coarse
    agree(cut.image, cut.section, datastack.images[mip], datastack.offsets[mip - 1], resolution)
    supervoxels, near = brute(cut.section, datastack.supervoxels[0], datastack.offsets[0], datastack.fine)
    roots = datastack.history.roots(supervoxels, datastack.late.timestamp())
    assert cut.segmentation is not None
    assert np.array_equal(cut.segmentation[~near], roots[~near])
    assert cut.timestamp == datastack.late
    assert cut.mips == {"imagery": mip, "segmentation": 0}


def test_a_section_along_the_axes_is_the_cutout(
    server: Callable[..., DemoServer], connect: Callable[..., ic.ImageryClient], datastack: Stack
) -> None:
    client = connect(server())
    x, y, z = datastack.middle
    plain = client.cutout((x, y, z), (60, 40))
    cut = client.section((x, y, z + 0.5), (60, 40))
    assert plain.image is not None
    assert plain.segmentation is not None
    assert np.array_equal(cut.image, plain.image[:, :, 0])
    assert np.array_equal(cut.segmentation, plain.segmentation[:, :, 0])
    assert sorted(cut.masks.ids) == sorted(plain.masks.ids)
    assert cut.coverage["imagery"].complete
    one = int(cut.masks.ids[0])
    alone = client.section((x, y, z + 0.5), (60, 40), root_ids=[one])
    assert np.array_equal(alone.segmentation, np.where(cut.segmentation == one, cut.segmentation, 0))
    supervoxels = client.section((x, y, z + 0.5), (60, 40), root_ids=None)
    assert np.array_equal(
        supervoxels.segmentation, datastack.labels((x - 30, y - 20, z), (x + 30, y + 20, z + 1))[..., 0]
    )


def test_the_coarsest_scale_as_fine_as_a_pixel_is_read(
    server: Callable[..., DemoServer], connect: Callable[..., ic.ImageryClient]
) -> None:
    client = connect(server())
    turn = (0.2, 0.1, 0.05, 1)
    for nm, mips in ((5, (1, 0)), (8, (1, 0)), (15.9, (1, 0)), (16, (2, 1)), (30, (2, 1))):
        cut = client.section(CENTER, (20, 10), orientation=turn, nm_per_pixel=nm)
        assert tuple(cut.mips.values()) == mips
    assert client.section(CENTER, (20, 10), orientation=turn).nm_per_pixel == 8
    assert client.section(CENTER, (20, 10), orientation=turn, mip=2).nm_per_pixel == 16
    assert client.section(CENTER, (20, 10), orientation=turn, mip=2, nm_per_pixel=5).mips["imagery"] == 2
    in_nm = [c * n for c, n in zip(CENTER, (8, 8, 40), strict=True)]
    assert client.section(in_nm, (20, 10), units="nm").section == client.section(CENTER, (20, 10)).section


def test_what_is_missing_is_said_with_figures(
    server: Callable[..., DemoServer], connect: Callable[..., ic.ImageryClient], datastack: Stack
) -> None:
    client = connect(server())
    place = {"center": (100, 140, 24.5), "size": (40, 20), "orientation": (0, 0.1, 0, 1)}
    with pytest.warns(
        MissingDataWarning, match=r"imagery: 50 % of its pixels lie outside the data; segmentation: 50 %"
    ):
        cut = client.section(**place)
    assert cut.coverage["imagery"].fraction == 0.5
    assert cut.image is not None
    assert not cut.image[~cut.coverage["imagery"].mask()].any()
    with pytest.raises(MissingDataError, match="50 %"):
        client.section(**place, missing="raise")
    last = [o + n - 5 for o, n in zip(datastack.offsets[0], datastack.supervoxels[0].shape, strict=True)]
    with pytest.warns(
        MissingDataWarning, match=r"imagery: [\d.]+ % of its pixels lie in chunks that were never written"
    ):
        client.section(last, (8, 6), orientation=(0.05, 0, 0, 1))
    with pytest.raises(
        OutOfBoundsError, match=r"wholly outside the data: imagery spans .* pass resolution=\(8, 8, 40\)"
    ):
        connect(server(), resolution=(4, 4, 40)).section((190, 110, 24), (8, 8), normal=(1, 1, 1))
    # The box around this one meets the data, but no pixel does.
    with pytest.raises(OutOfBoundsError):
        client.section((90, 50, 24), (60, 2), normal=(1, 1, 0), up=(0, 0, 1))


def test_ids_that_are_not_in_a_section_are_explained(
    server: Callable[..., DemoServer], connect: Callable[..., ic.ImageryClient], datastack: Stack
) -> None:
    early = datastack.history.operations[0].time - 60
    client = connect(server())
    place = {"center": CENTER, "size": (80, 60), "orientation": (0.1, 0.2, 0, 1)}
    before, after = client.section(**place, timestamp=early), client.section(**place)
    assert before.segmentation is not None
    assert after.segmentation is not None
    stale = sorted(set(before.masks.ids) - set(after.masks.ids))[0]
    with pytest.warns(IdWarning, match=r"no pixel in the section at .*follow=True") as caught:
        none = client.section(**place, root_ids=[stale])
    assert none.segmentation is not None
    assert not none.segmentation.any()
    warning = next(one.message for one in caught if isinstance(one.message, IdWarning))
    heirs = sorted(share.root_id for share in warning.absent[0].successors)
    inside = after.segmentation[before.segmentation == stale]
    assert heirs == np.unique(inside).tolist()
    with pytest.warns(IdWarning, match="replaced by what has the same pixels in the section"):
        followed = client.section(**place, root_ids=[stale], follow=True)
    assert np.array_equal(followed.segmentation, np.where(np.isin(after.segmentation, heirs), after.segmentation, 0))
    with pytest.warns(IdWarning, match="12345"):
        client.section(**place, root_ids=[12345, int(after.masks.ids[0])])


def test_memory_holds_the_picture_and_not_the_box_around_it(tmp_path: Path) -> None:
    from imageryclient.demo.writer import Layout, write_precomputed

    em = np.random.default_rng(1).integers(0, 256, (256, 256, 256), dtype=np.uint8)
    at = Layout(resolution=(8, 8, 8), chunk_size=(32, 32, 32), encoding="raw")
    source = write_precomputed(tmp_path / "em", [(em, at)], kind="image")
    client = ic.ImageryClient(image_source=str(source), missing="fill")
    place = {"center": (128, 128, 128), "size": (250, 250), "normal": (1, 1, 1)}
    client.section(**place)
    tracemalloc.start()
    cut = client.section(**place)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert cut.section.box((8.0, 8.0, 8.0)).voxels > 2**23
    assert peak < 62_500 * 150 + 2**21
    with pytest.raises(TooLargeError, match="a section of 20000 x 20000 pixels would take about"):
        ic.ImageryClient(image_source=str(source), memory_limit=2**28).section((128, 128, 128), (20000, 20000))


def test_only_chunks_on_the_section_are_fetched(
    server: Callable[..., DemoServer],
    connect: Callable[..., ic.ImageryClient],
    chunk_requests: Callable[[DemoServer], list[str]],
) -> None:
    running = server()
    cut = connect(running, segmentation=False).section(CENTER, (100, 60), normal=(1, 1, 1))
    voxels = np.array(
        [np.floor(p / (8, 8, 40)) for p in cut.section.points(cut.section.whole)]
    ).astype(int)  # fmt: skip
    touched = np.unique((voxels - (100, 60, 7)) // (64, 64, 16), axis=0)
    assert len(chunk_requests(running)) == len(touched)


def test_arrays_in_memory_and_several_channels() -> None:
    rng = np.random.default_rng(2)
    color = rng.integers(0, 256, (40, 30, 20, 3), dtype=np.uint8)
    labels = rng.integers(1, 2**63, (40, 30, 20), dtype=np.uint64)
    client = ic.ImageryClient(image_source=color, segmentation_source=labels, resolution=(8, 8, 40), missing="fill")
    cut = client.section((20, 15, 10), (30, 20), orientation=(0.02, 0.01, 0.3, 1))
    assert cut.image is not None
    assert cut.image.shape == (30, 20, 3)
    for channel in range(3):
        agree(cut.image[..., channel], cut.section, color[..., channel], (0, 0, 0), (8, 8, 40))
    agree(cut.segmentation, cut.section, labels, (0, 0, 0), (8, 8, 40))
    assert cut.overlay().size == (30, 20)
    alone = ic.ImageryClient(image_source=color, resolution=(8, 8, 40)).section((20, 15, 10), (30, 20), missing="fill")
    assert np.array_equal(np.asarray(alone.overlay())[..., :3].transpose(1, 0, 2), alone.image)
    assert "neuroglancer" not in alone.metadata()


def test_what_makes_no_section_is_said(
    server: Callable[..., DemoServer], connect: Callable[..., ic.ImageryClient]
) -> None:
    client = connect(server())
    for options, words in (
        ({"units": "m"}, "units"),
        ({"normal": (0, 0, 1), "orientation": (0, 0, 0, 1)}, "one or the other"),
        ({"normal": (0, 0, 1), "panel": "xz"}, "one or the other"),
        ({"up": (0, 0, 1)}, "goes with normal"),
        ({"size": (5, 5, 5)}, "size"),
        ({"nm_per_pixel": -1}, "nm_per_pixel"),
    ):
        with pytest.raises(ArgumentError, match=words):
            client.section(CENTER, **options)  # type: ignore[arg-type]
    with pytest.raises(ScaleError):
        client.section(CENTER, mip=9)
    nothing = SectionCutout(None, None, Section((0, 0, 0), (1, 1), 1.0))
    for use in (nothing.overlay, lambda: nothing.masks):
        with pytest.raises(ArgumentError, match=r"neither|no segmentation"):
            use()
    assert nothing._repr_png_() is None


def test_a_section_is_saved_painted_and_described(
    server: Callable[..., DemoServer], connect: Callable[..., ic.ImageryClient], tmp_path: Path
) -> None:
    cut = connect(server()).section(CENTER, (60, 40), normal=(1, 0, 3))
    assert cut.overlay(scale_bar=True).size == (60, 40)
    assert cut.save(tmp_path / "a.png", alpha=0.5) == [tmp_path / "a.png"]
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (60, 40)
        link = json.loads(picture.text["imageryclient"])["neuroglancer"]
    _, again = ic.from_neuroglancer(link, (60, 40), auth_token=DEMO_TOKEN)
    assert isinstance(again, SectionCutout)
    assert again.section == cut.section
    assert np.array_equal(again.segmentation, cut.segmentation)
    cut.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as kept:
        assert np.array_equal(kept["image"], cut.image)
        assert np.array_equal(kept["segmentation"], cut.segmentation)
        about = json.loads(str(kept["metadata"]))
    assert Section(**about["section"]) == cut.section
    with pytest.raises(ArgumentError, match=r"saved as \.png"):
        cut.save(tmp_path / "a.gif")
    assert "60 x 40 pixels of 8 nm" in repr(cut)
    assert cut._repr_png_()
    assert "Section of imagery and segmentation" in cut._repr_html_()
    assert "60 x 40 of 8 nm" in cut._repr_html_()


# ---- views -------------------------------------------------------------------------------------------------------


def view_of(server: DemoServer, datastack: Stack, move: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    x, y, z = CENTER
    em: Any = f"precomputed://{server.url}/data/imagery"
    if move is not None:
        em = {"url": em, "transform": move}
    segmentation = f"graphene://middleauth+{server.url}/segmentation/table/{datastack.table}"
    return {
        "dimensions": {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]},
        "position": [2 * x, 2 * y, z],
        "crossSectionScale": 2,
        "layers": [
            {"type": "image", "name": "em", "source": em},
            {"type": "segmentation", "name": "seg", "source": segmentation, "timestamp": datastack.late.timestamp()},
        ],
        **more,
    }


def test_a_tilted_view_gives_its_section_and_leads_back_to_it(
    server: Callable[..., DemoServer], datastack: Stack
) -> None:
    running = server()
    state = view_of(running, datastack, layout="xz", crossSectionOrientation=[0.1, 0.3, -0.2, 0.8])
    client, cut = ic.from_neuroglancer(state, size=(60, 40), auth_token=DEMO_TOKEN)
    assert isinstance(cut, SectionCutout)
    assert cut.section.panel == "xz"
    turn = {"orientation": [0.1, 0.3, -0.2, 0.8], "panel": "xz", "nm_per_pixel": 8}
    again = client.section([2 * CENTER[0], 2 * CENTER[1], CENTER[2]], (60, 40), **turn)
    assert again.section == cut.section
    assert np.array_equal(again.image, cut.image)
    assert np.array_equal(again.segmentation, cut.segmentation)
    agree(cut.image, cut.section, datastack.images[1], datastack.offsets[0], datastack.fine)
    link = cut.neuroglancer_url("https://viewer.example.org", colors={cut.masks.ids[0]: "red"}, contrast=(10, 99))
    _, back = ic.from_neuroglancer(link, size=(60, 40), auth_token=DEMO_TOKEN)
    assert isinstance(back, SectionCutout)
    assert back.section == cut.section
    assert np.array_equal(back.segmentation, cut.segmentation)
    assert back.timestamp == cut.timestamp
    turned_off = ic.from_neuroglancer(
        {**state, "crossSectionOrientation": [0, 0, 0, 1]}, size=(60, 40), auth_token=DEMO_TOKEN
    )[1]  # fmt: skip
    assert isinstance(turned_off, ic.Cutout)


@pytest.mark.parametrize("turn", [[0, 0, 0, 1], [0.1, 0.3, -0.2, 0.8]])
@pytest.mark.parametrize(
    ("matrix", "voxel"),
    [
        ([[1, 0, 0, 5], [0, 1, 0, -3], [0, 0, 1, 2]], None),  # moved
        (None, (5, 4.5, 38)),  # another voxel size
        ([[-1, 0, 0, 800], [0, 1, 0, 0], [0, 0, -1, 50]], None),  # two axes turned round
        ([[0, 1, 0, 120], [1, 0, 0, -120], [0, 0, 1, 0]], (4, 4, 42)),  # two axes changed for each other
        ([[1, 0.2, 0.1, -60], [-0.2, 1.1, 0, 90], [0, 0, 1, 0]], None),  # anything
    ],
)
def test_layers_that_a_view_moves_are_sampled_where_it_puts_them(
    server: Callable[..., DemoServer], datastack: Stack, matrix: Any, voxel: Any, turn: list[float]
) -> None:
    lengths = {axis: [n * 1e-9, "m"] for axis, n in zip("xyz", datastack.viewer, strict=True)}
    move: dict[str, Any] = {"outputDimensions": lengths}
    if matrix is not None:
        move["matrix"] = matrix
    if voxel is not None:
        move["inputDimensions"] = {axis: [n * 1e-9, "m"] for axis, n in zip("xyz", voxel, strict=True)}
    state = view_of(server(), datastack, move, crossSectionOrientation=turn)
    _, cut = ic.from_neuroglancer(state, size=(50, 30), auth_token=DEMO_TOKEN, missing="fill")
    assert isinstance(cut, SectionCutout)
    # By the format: nm shown = M[:, :3] (voxel * input nm) + M[:, 3] * output nm, voxels of the finest scale.
    own = np.array(datastack.viewer, float)
    rows = np.array(np.eye(3, 4) if matrix is None else matrix, float)
    scaled = rows[:, :3] * (np.array(voxel or own) / own)
    inward = np.column_stack([np.linalg.inv(scaled), -np.linalg.inv(scaled) @ (rows[:, 3] * own)])
    mip = cut.mips["imagery"]
    resolution = datastack.fine if mip == 1 else datastack.coarse
    assert cut.coverage["imagery"].fraction > 0.5
    agree(cut.image, cut.section, datastack.images[mip], datastack.offsets[mip - 1], resolution, inward=inward)
    supervoxels, near = brute(cut.section, datastack.supervoxels[0], datastack.offsets[0], datastack.fine)
    assert cut.segmentation is not None
    expected = datastack.history.roots(supervoxels, datastack.late.timestamp())
    assert np.array_equal(cut.segmentation[~near], expected[~near])
    back = ic.from_neuroglancer(
        parse_link(cut.neuroglancer_url()).state or {}, (50, 30), auth_token=DEMO_TOKEN, missing="fill"
    )[1]
    assert np.array_equal(back.image, cut.image)


def test_a_transform_that_says_what_is_so_anyway_moves_nothing(
    server: Callable[..., DemoServer], datastack: Stack
) -> None:
    lengths = {axis: [n * 1e-9, "m"] for axis, n in zip("xyz", datastack.viewer, strict=True)}
    same = {"outputDimensions": lengths, "inputDimensions": lengths, "matrix": np.eye(3, 4).tolist()}
    _, cut = ic.from_neuroglancer(view_of(server(), datastack, same), (20, 10), auth_token=DEMO_TOKEN)
    assert isinstance(cut, ic.Cutout)


def test_the_command_line_takes_a_tilted_link(
    server: Callable[..., DemoServer], datastack: Stack, tmp_path: Path
) -> None:
    state = view_of(server(), datastack, crossSectionOrientation=[0.1, 0.3, -0.2, 0.8])
    wanted = ["link", json.dumps(state), "--size", "40,30", "--token", DEMO_TOKEN, "-o", str(tmp_path / "view.png")]
    done = CliRunner().invoke(main, wanted)
    assert done.exit_code == 0, done.output
    assert "40 x 30 pixels of 8 nm" in done.output
    with Image.open(tmp_path / "view.png") as picture:
        assert picture.size == (40, 30)
    refused = CliRunner().invoke(main, [*wanted[:-1], str(tmp_path / "view.tif")])
    assert refused.exit_code == 1
    assert "a section is saved as" in refused.output
