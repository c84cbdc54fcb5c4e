"""Files that know what they are: opened again as cutouts, and made anew from what they say."""

from __future__ import annotations

import io
import json
import shutil
import warnings
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

import imageryclient as ic
from imageryclient.cli import main
from imageryclient.coverage import Coverage
from imageryclient.cutout import Cutout
from imageryclient.errors import (
    AccessError,
    ArgumentError,
    FormatError,
    IdWarning,
    ImageryWarning,
    MissingDataWarning,
    NotFoundError,
)
from imageryclient.files.reading import read_record
from imageryclient.geometry import Box
from imageryclient.painting.options import PAINTED
from imageryclient.viewer import read_view

AT = (8.0, 8.0, 40.0)
BIG = 864691135341362885


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as opened:
        return np.asarray(opened)


def same(one: Cutout, other: Cutout) -> bool:
    for name in ("image", "segmentation"):
        a, b = getattr(one, name), getattr(other, name)
        if (a is None) != (b is None):
            return False
        if a is not None and (a.dtype != b.dtype or not np.array_equal(a, b)):
            return False
    fields = ("bounds", "timestamp", "coverage", "sources", "mips", "root_ids")
    return all(getattr(one, name) == getattr(other, name) for name in fields)


def run(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


# ---- arrays -----------------------------------------------------------------------------------------------------


@given(
    shape=st.tuples(*[st.integers(1, 4)] * 3),
    layers=st.sampled_from(["both", "imagery", "segmentation", "none"]),
    dtype=st.sampled_from(["uint8", "uint16", "float32", ">i4", "bool"]),
    root_ids=st.none() | st.just("all") | st.lists(st.integers(0, 2**64 - 1), max_size=3).map(tuple),
    timestamp=st.none() | st.datetimes(timezones=st.just(UTC)),
    gap=st.booleans(),
)
def test_arrays_come_back_equal(
    tmp_path_factory: Any, shape: Any, layers: str, dtype: str, root_ids: Any, timestamp: Any, gap: bool
) -> None:
    rng = np.random.default_rng(3)
    box = Box((-5, 6, 7), tuple(a + b for a, b in zip((-5, 6, 7), shape, strict=True)), (8.1, 8.0, 40.0))
    cut = Cutout(
        image=np.asfortranarray(rng.integers(0, 2, shape).astype(dtype)) if layers in ("both", "imagery") else None,
        segmentation=rng.integers(0, 2**64, shape, np.uint64) if layers in ("both", "segmentation") else None,
        bounds=box,
        timestamp=timestamp,
        coverage={"imagery": Coverage(box, absent=(Box((-8, 0, 0), (0, 8, 8), AT),) * gap)},
        sources={"imagery": "precomputed://gs://bucket/em"},
        mips={"imagery": 3},
        root_ids=root_ids,
    )
    (file,) = cut.save(tmp_path_factory.mktemp("arrays") / "place.npz")
    assert same(ic.load_cutout(file), cut)


def test_a_cutout_of_a_datastack_comes_back(datastack: Any, server: Any, connect: Any, tmp_path: Path) -> None:
    cut = connect(server()).cutout(datastack.middle, (40, 30, 3), root_ids=None)
    (file,) = cut.save(tmp_path / "place.npz")
    again = ic.load_cutout(str(file))
    assert same(again, cut)
    assert again.image.flags.f_contiguous == cut.image.flags.f_contiguous
    assert np.array_equal(np.asarray(again.overlay()[1]), np.asarray(cut.overlay()[1]))


def test_an_npz_of_a_version_before_opens(tmp_path: Path) -> None:
    about = {"imageryclient": "2.0.0a1", "timestamp": "2024-05-01T12:00:00+00:00", "sources": {"imagery": "em"},
             "bounds": {"start": [0, 0, 5], "stop": [3, 2, 6], "resolution": [8.0, 8.0, 40.0]},
             "mips": {"imagery": 1}, "covered": {"imagery": 0.5}}  # fmt: skip
    file = tmp_path / "old.npz"
    np.savez_compressed(file, metadata=np.array(json.dumps(about)), image=np.ones((3, 2, 1), np.uint8))
    cut = ic.load_cutout(file)
    assert (cut.bounds.shape, cut.root_ids, cut.segmentation, dict(cut.coverage)) == ((3, 2, 1), "all", None, {})
    assert cut.timestamp == datetime(2024, 5, 1, 12, tzinfo=UTC)


def test_files_that_are_no_cutouts(tmp_path: Path) -> None:
    cut = Cutout(np.zeros((3, 2, 1), np.uint8), None, Box((0, 0, 5), (3, 2, 6), AT))
    (png,) = cut.save(tmp_path / "figure.png")
    with pytest.raises(ArgumentError, match="names no sources"):
        ic.load_cutout(png)
    with pytest.raises(NotFoundError, match="there is no file"):
        ic.load_cutout(tmp_path / "absent.npz")
    other = tmp_path / "other.npz"
    np.savez(other, image=np.zeros(3))
    array = tmp_path / "array.npy"
    np.save(array, np.zeros(3))
    (whole,) = cut.save(tmp_path / "whole.npz")
    half = tmp_path / "half.npz"
    half.write_bytes(whole.read_bytes()[:200])
    text = tmp_path / "text.npz"
    text.write_text("x")
    bent = tmp_path / "bent.npz"
    content = bytearray(whole.read_bytes())
    content[content.index(b"image.npy") + 40] ^= 255
    bent.write_bytes(content)
    moved = tmp_path / "moved.npz"
    np.savez(moved, metadata=np.array(cut.record().to_json()), image=np.zeros((9, 9, 9)))
    for file in (other, array, half, text, bent):
        with pytest.raises(FormatError, match=rf"{file.name} is no cutout"):
            ic.load_cutout(file)
    with pytest.raises(FormatError, match="shape"):
        ic.load_cutout(moved)
    with pytest.raises(FormatError, match="does not say what was cut out"):
        read_record(text)


# ---- pictures ---------------------------------------------------------------------------------------------------


def test_a_png_says_what_it_is_to_every_program(tmp_path: Path) -> None:
    box = Box((10, 20, 30), (22, 29, 31), AT)
    cut = Cutout(
        np.zeros((12, 9, 1), np.uint8),
        np.full((12, 9, 1), BIG, np.uint64),
        box,
        sources={"imagery": "precomputed://gs://bucket/em", "segmentation": "graphene://https://cave.org/table/t"},
        mips={"imagery": 1, "segmentation": 0},
        root_ids=(BIG,),
    )
    (file,) = cut.save(tmp_path / "figure.png", colors={BIG: "red"}, alpha=0.5, plane="xy")
    with Image.open(file) as opened:
        text = opened.text
        assert "dpi" not in opened.info  # at 8 nm each, nobody would see the pixels
    assert text["Software"] == f"imageryclient {ic.__version__}"
    assert text["Description"] == cut.record().describe()
    record = read_record(file)
    assert record.painting == {**PAINTED, "colors": {BIG: "red"}, "alpha": 0.5, "plane": "xy"}
    assert (record.root_ids, record.bounds, record.mips) == ((BIG,), box, cut.mips)
    view = read_view(record.link)
    segmentation = view.layer("segmentation")
    assert segmentation.segments == (BIG,)
    assert segmentation.colors == {BIG: "#ff0000"}
    assert view.center == (16 * 8.0, 24.5 * 8, 30.5 * 40)


def test_folders_have_no_link_and_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, datastack: Any) -> None:
    monkeypatch.chdir(datastack.folder)
    cut = ic.ImageryClient(image_source="imagery").cutout(datastack.middle, (10, 10), resolution=datastack.fine)
    (file,) = cut.save(tmp_path / "figure.png")
    record = read_record(file)
    assert record.link is None
    assert record.sources == {"imagery": str((datastack.folder / "imagery").resolve())}
    monkeypatch.chdir(tmp_path)
    again, options = ic.redo("figure.png")
    assert np.array_equal(again.image, cut.image)
    assert options == {**PAINTED, "alpha": 0.3}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"palette": "tab10", "alpha": 0.6, "scale_bar": 200.0},
        {"outline": True, "width": 2, "merge_outline": False, "side": "in", "plane": "xz", "section": 3},
        {"display_range": (20, 200.5), "palette": ["red", (0, 1, 0), "#0000ff"] * 30},
    ],
)
def test_a_picture_is_made_again_from_itself_alone(
    datastack: Any, server: Any, connect: Any, tmp_path: Path, options: dict[str, Any]
) -> None:
    running = server()
    cut = connect(running).cutout(datastack.middle, (60, 50, 1))
    (file,) = cut.save(tmp_path / "figure.png", **options)
    names = sorted(tmp_path.iterdir())
    run("redo", file, "--token", running.token)
    redone = tmp_path / "figure_redone.png"
    assert sorted(tmp_path.iterdir()) == sorted([*names, redone])
    assert np.array_equal(pixels(redone), pixels(file))
    assert read_record(redone) == read_record(file)


@pytest.mark.parametrize("name", ["figure.svg", "figure.pdf"])
def test_a_figure_of_vectors_is_made_again(
    datastack: Any, server: Any, connect: Any, tmp_path: Path, name: str
) -> None:
    running = server()
    cut = connect(running).cutout(datastack.middle, (40, 30))
    (file,) = cut.save(tmp_path / name, smooth=False, alpha=0.5, outline=True)
    assert read_record(file).painting == {**PAINTED, "smooth": False, "alpha": 0.5, "outline": True}
    run("redo", file, "-o", tmp_path / f"again-{name}", "--token", running.token)
    assert (tmp_path / f"again-{name}").read_bytes() == file.read_bytes()
    run("redo", file, "-o", tmp_path / "again.png", "--token", running.token)
    cut.save(tmp_path / "direct.png", alpha=0.5, outline=True)
    assert np.array_equal(pixels(tmp_path / "again.png"), pixels(tmp_path / "direct.png"))
    run("redo", tmp_path / "again.png", "-o", tmp_path / "again.npz", "--token", running.token)
    assert same(ic.load_cutout(tmp_path / "again.npz"), cut)


def test_what_was_asked_for_is_asked_for_again(datastack: Any, server: Any, connect: Any, tmp_path: Path) -> None:
    running = server()
    client = connect(running, timestamp=datastack.history.operations[5].time + 1)
    cut = client.cutout(datastack.middle, (60, 50, 2))
    chosen = cut.masks.ids[:2].tolist()
    for root_ids in (chosen, None):
        cut = client.cutout(datastack.middle, (60, 50, 2), root_ids=root_ids)
        assert cut.root_ids == (tuple(chosen) if root_ids else None)
        (file,) = cut.save(tmp_path / "place.npz")
        again, options = ic.redo(file, auth_token=running.token)
        assert options == {**PAINTED, "alpha": 0.3}
        assert same(again, cut)
    stack = cut.save(tmp_path / "stack.ome.tif")
    run("redo", stack[1], "--token", running.token)
    redone = [tmp_path / f"stack_segmentation_redone{more}.ome.tif" for more in ("", "_segmentation")]
    assert redone[1].exists()
    assert ic.redo(redone[0], auth_token=running.token)[0].root_ids is None


def test_colors_by_id_and_one_section_of_a_stack(datastack: Any, server: Any, connect: Any, tmp_path: Path) -> None:
    running = server()
    cut = connect(running).cutout(datastack.middle, (60, 50, 3))
    colors = {root: (n / 50, 0.5, 1 - n / 50) for n, root in enumerate(cut.masks)}
    files = cut.save(tmp_path / "stack.png", colors=colors, alpha=0.7)
    run("redo", files[1], "-o", tmp_path / "again.png", "--token", running.token)
    assert np.array_equal(pixels(tmp_path / "again.png"), pixels(files[1]))
    assert not (tmp_path / "again_slice_0.png").exists()
    assert np.array_equal(np.asarray(cut.overlay(section=2, colors=colors, alpha=0.7)), pixels(files[2]))
    with pytest.raises(ArgumentError, match="3 sections"):
        cut.overlay(section=3)
    assert BIG not in colors  # ids of the graph, each beyond what a float holds
    assert any(root > 2**53 for root in colors)


def test_followed_ids_are_those_that_took_their_place(
    datastack: Any, server: Any, connect: Any, tmp_path: Path
) -> None:
    running = server()
    early = connect(running, timestamp=datastack.history.operations[0].time - 1)
    stale = early.cutout(datastack.middle, (60, 50, 3)).masks.ids.tolist()
    with pytest.warns(IdWarning):
        cut = connect(running).cutout(datastack.middle, (60, 50, 3), root_ids=stale, follow=True)
    assert cut.root_ids == tuple(cut.masks)
    assert set(cut.root_ids) != set(stale)
    cut.save(tmp_path / "place.npz")
    again, _ = ic.redo(tmp_path / "place.npz", auth_token=running.token)
    assert same(again, cut)


def test_no_id_at_all_is_not_every_id(datastack: Any, tmp_path: Path) -> None:
    client = ic.ImageryClient(segmentation_source=datastack.folder / "supervoxels", missing="fill")
    cut = client.cutout(datastack.middle, (20, 20), resolution=datastack.fine, root_ids=[5], follow=True)
    assert cut.root_ids == ()
    (file,) = cut.save(tmp_path / "none.png")
    again, _ = ic.redo(file)
    assert same(again, cut)
    assert not again.segmentation.any()


def test_stacks_from_the_command_line(datastack: Any, tmp_path: Path) -> None:
    out = tmp_path / "place.ome.tif"
    text = run("cutout", "--image", datastack.folder / "imagery", "--segmentation", datastack.folder / "supervoxels",
               "--bounds", "190,130,20,210,145,24", "--resolution", "8,8,40", "-o", out)  # fmt: skip
    assert "place_segmentation.ome.tif" in text
    assert read_record(out).bounds == Box((190, 130, 20), (210, 145, 24), AT)
    with Image.open(out) as opened:
        assert (opened.n_frames, opened.size) == (4, (20, 15))


def test_gaps_that_were_there_are_no_news_and_others_are(datastack: Any, tmp_path: Path) -> None:
    folder = tmp_path / "em"
    shutil.copytree(datastack.folder / "imagery", folder)
    low = np.array([100 + 3 * 64 - 10, 60 + 2 * 64 - 10, 7 + 2 * 16])  # amid: the chunk that was never written
    client = ic.ImageryClient(image_source=folder)
    with pytest.warns(MissingDataWarning):
        cut = client.cutout(bounds=[low, low + [20, 20, 2]], resolution=datastack.fine)
    (file,) = cut.save(tmp_path / "figure.npz")
    again, _ = ic.redo(file)
    assert same(again, cut)
    ic.clear_cache()
    shutil.rmtree(next(path for path in folder.iterdir() if path.is_dir() and path.name.startswith("8_8")))
    with pytest.warns(ImageryWarning, match=r"0 % of its imagery is covered by data now, 75 % then"):
        ic.redo(file)


def test_what_keeps_a_figure_from_being_made_again(datastack: Any, server: Any, connect: Any, tmp_path: Path) -> None:
    running = server()
    (file,) = connect(running).cutout(datastack.middle, (20, 20)).save(tmp_path / "figure.png")
    with pytest.raises(AccessError):
        ic.redo(file)
    text = run("redo", file, code=1)
    assert "token" in text
    with Image.open(file) as opened:
        opened.save(tmp_path / "stripped.png")
    with pytest.raises(FormatError, match="dropped what was said"):
        ic.redo(tmp_path / "stripped.png")
    half = tmp_path / "half.png"
    half.write_bytes(file.read_bytes()[:80])
    with pytest.raises(FormatError, match=r"half\.png is damaged"):
        ic.redo(half)
    assert "absent.png" in run("redo", tmp_path / "absent.png", code=2)
    assert ".bmp" in run("redo", file, "-o", "figure.bmp", code=2)


def test_arrays_are_given_again(tmp_path: Path) -> None:
    image = np.random.default_rng(4).integers(0, 256, (30, 20, 4), dtype=np.uint8)
    client = ic.ImageryClient(image_source=ic.ArraySource(image, AT))
    cut = client.cutout([10, 10, 2], (8, 6))
    (file,) = cut.save(tmp_path / "figure.png")
    with pytest.raises(NotFoundError, match=r"image_source="):
        ic.redo(file)
    again, options = ic.redo(file, image_source=ic.ArraySource(image, AT))
    assert np.array_equal(again.image, cut.image)
    again.save(tmp_path / "again.png", **options)
    assert np.array_equal(pixels(tmp_path / "again.png"), pixels(file))
    nowhere = Cutout(image[:8, :6, :1], None, Box((0, 0, 0), (8, 6, 1), AT)).save(tmp_path / "nowhere.png")
    with pytest.raises(ArgumentError, match="names no sources"):
        ic.redo(nowhere[0])


def test_options_a_file_cannot_hold_are_missed(datastack: Any, tmp_path: Path) -> None:
    class Palette(list):  # a palette of one's own is a sequence of colours
        pass

    cut = ic.ImageryClient(
        image_source=datastack.folder / "imagery", segmentation_source=datastack.folder / "supervoxels"
    ).cutout(datastack.middle, (10, 10), resolution=datastack.fine)
    (file,) = cut.save(tmp_path / "figure.png", palette=Palette(["red", "blue"] * 50))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ic.redo(file)[1] == {**PAINTED, "alpha": 0.3, "palette": ["red", "blue"] * 50}
    record = cut.record(colors=iter("ab"))
    info = PngImagePlugin.PngInfo()
    info.add_itxt("imageryclient", record.to_json())
    Image.new("RGB", (3, 3)).save(file, pnginfo=info)
    with pytest.warns(ImageryWarning, match="colors, which a file cannot hold"):
        ic.redo(file)


# ---- secrets ----------------------------------------------------------------------------------------------------


def test_no_file_holds_a_token(datastack: Any, server: Any, cave: Any, tmp_path: Path) -> None:
    secret = "s3cr3t-t0ken-0123456789"
    running = server(token=secret)
    client = ic.ImageryClient(client=cave(running, token=secret), resolution=datastack.fine)
    cut = client.cutout(datastack.middle, (20, 20, 2))
    for name in ("a.png", "a.npz", "a.tif", "a.ome.tif", "a.svg", "a.pdf"):
        cut.save(tmp_path / name)
    (tmp_path / "a.html").write_text(cut._repr_html_(), encoding="utf-8")
    files = list(tmp_path.iterdir())
    assert len(files) == 12
    for file in files:
        content = file.read_bytes()
        if file.suffix == ".npz":
            with zipfile.ZipFile(io.BytesIO(content)) as parts:
                content += b"".join(parts.read(name) for name in parts.namelist())
        assert secret.encode() not in content
        if file.suffix != ".html":
            assert secret not in read_record(file).to_json()


# ---- sections ---------------------------------------------------------------------------------------------------


def test_a_section_comes_back_and_is_made_again(datastack: Any, server: Any, connect: Any, tmp_path: Path) -> None:
    running = server()
    client = connect(running, missing="fill")
    cut = client.section(datastack.middle, (400, 30), normal=(1, 0.3, 0.5), nm_per_pixel=9)
    assert 0 < cut.coverage["imagery"].fraction < 1
    for name in ("a.npz", "a.png", "a.svg", "a.pdf"):
        options = {} if name == "a.npz" else {"alpha": 0.5, "palette": "tab10"}
        (file,) = cut.save(tmp_path / name, **options)
        again, painting = ic.redo(file, auth_token=running.token)
        assert isinstance(again, ic.SectionCutout)
        assert np.array_equal(again.image, cut.image)
        assert np.array_equal(again.segmentation, cut.segmentation)
        assert (again.section, again.mips, again.timestamp) == (cut.section, cut.mips, cut.timestamp)
        run("redo", file, "-o", tmp_path / f"again_{name}", "--token", running.token)
        if name != "a.npz":
            assert painting == {**PAINTED, **options}
            assert (tmp_path / f"again_{name}").read_bytes() == file.read_bytes()
    opened = ic.load_cutout(tmp_path / "a.npz")
    assert isinstance(opened, ic.SectionCutout)
    assert np.array_equal(opened.segmentation, cut.segmentation)
    assert opened.resolution == cut.resolution
    for name, coverage in cut.coverage.items():
        assert np.array_equal(opened.coverage[name].outside, coverage.outside)
        assert np.array_equal(opened.coverage[name].absent, coverage.absent)


def test_a_section_of_a_moved_layer_is_made_again(datastack: Any, server: Any, tmp_path: Path) -> None:
    nm = {"x": [8e-9, "m"], "y": [8e-9, "m"], "z": [4e-8, "m"]}
    moved = {"outputDimensions": nm, "matrix": [[1, 0.1, 0, -10], [0, 1, 0, 2], [0, 0, 1, 1]]}
    source = {"url": f"precomputed://{server().url}/data/imagery", "transform": moved}
    state = {"dimensions": nm, "position": [200, 140, 24], "layers": [{"type": "image", "source": source}]}
    _, cut = ic.from_neuroglancer(state, (60, 40), missing="fill")
    assert isinstance(cut, ic.SectionCutout)
    again, _ = ic.redo(cut.save(tmp_path / "a.png")[0])
    assert np.array_equal(again.image, cut.image)
    assert again.placements == cut.placements
