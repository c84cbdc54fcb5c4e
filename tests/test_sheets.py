"""Sections painted alone and together, with what is written on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imageryclient as ic
from imageryclient.errors import ArgumentError
from imageryclient.painting.options import PAINTED, options_over
from imageryclient.painting.shared import painted_colors
from imageryclient.painting.vector import sheet_figures

BIG = 864691135341362885


def made(
    resolution: tuple[float, float, float] = (8.0, 8.0, 40.0), shape: tuple[int, int, int] = (60, 40, 4)
) -> ic.Cutout:
    rng = np.random.default_rng(5)
    blocks = rng.integers(0, 9, (6, 4, shape[2])).repeat(10, axis=0).repeat(10, axis=1)
    ids = np.where(blocks > 0, blocks + BIG, 0).astype(np.uint64)
    em = rng.normal(500, 200, shape).clip(0).astype(np.uint16)
    box = ic.Box((100, 50, 7), (100 + shape[0], 50 + shape[1], 7 + shape[2]), resolution)
    return ic.Cutout(em, ids, box)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"palette": "husl", "percentiles": (1, 99), "gamma": 0.8},
        {"outline": True, "fill": 0.3, "smooth": True, "zoom": 2.5, "scale_bar": 100},
        {"highlight": BIG + 3, "labels": True, "zoom": 3, "legend": True, "plane": "xz"},
        {"colors": {BIG + 1: "red"}, "alpha": {BIG + 1: 1.0}, "background": "white", "plane": "yz"},
    ],
)
def test_a_section_alone_is_as_it_is_among_all(options: dict) -> None:
    cut = made()
    together = cut.overlay(**options)
    assert isinstance(together, list)
    sheets = cut.sheets(options.get("plane"))
    painting = options_over(cut.painting, {name: value for name, value in options.items() if name != "plane"})
    for number, (picture, frame) in enumerate(zip(together, sheets.frames(**painting), strict=True)):
        alone = cut.overlay(section=number, **options)
        assert np.array_equal(np.asarray(alone), np.asarray(picture))
        assert np.array_equal(np.asarray(frame), np.asarray(picture))


def test_an_id_has_one_colour_wherever_it_appears() -> None:
    cut = made()
    some = ic.Cutout(None, cut.segmentation[:20, :20, :1], ic.Box((0, 0, 0), (20, 20, 1), (8.0, 8.0, 40.0)))
    (first, *_) = ic.Cutout(None, cut.segmentation, cut.bounds).overlay(alpha=1)
    assert np.array_equal(np.asarray(some.overlay(alpha=1)), np.asarray(first)[:20, :20])


@pytest.mark.parametrize("zoom", [1, 4])
def test_outlines_in_nm_are_so_many_pixels(zoom: int) -> None:
    cut = made(shape=(60, 40, 1))
    asked = {"outline": True, "zoom": zoom}
    in_nm = np.asarray(cut.overlay(width_nm=16, **asked))
    assert np.array_equal(in_nm, np.asarray(cut.overlay(width=2 * zoom, **asked)))
    with pytest.raises(ArgumentError, match="both say how wide"):
        cut.overlay(width=3, width_nm=16, **asked)
    with pytest.raises(ArgumentError, match="positive number of nm"):
        cut.overlay(width_nm=0, **asked)


def test_outlines_of_cutouts_are_seen_in_dense_segmentations() -> None:
    dense = np.arange(1, 5, dtype=np.uint64).repeat(10)[:, None, None].repeat(30, axis=1)
    cut = ic.Cutout(None, dense, ic.Box((0, 0, 0), (40, 30, 1), (8.0, 8.0, 40.0)))
    shown = np.asarray(cut.overlay(outline=True))[..., 3] > 0
    beside = np.arange(40) % 10
    expected = ((beside < 2) | (beside > 7))[None, :].repeat(30, axis=0)
    expected[:, [0, 1, 38, 39]] = False  # the border of a picture is no edge
    assert np.array_equal(shown, expected)


def test_marks_need_square_pixels() -> None:
    cut = made(resolution=(8.0, 16.0, 40.0), shape=(60, 40, 1))
    assert cut.overlay().size == (60, 40)
    point = ic.Points([[130.5, 70.5, 7]], (8, 16, 40), color="red", radius=2)
    marked, plain = cut.overlay(marks=[point]), cut.overlay(plane="xy")
    assert marked.size == plain.size == (60, 80)
    changed = np.argwhere((np.asarray(marked) != np.asarray(plain)).any(axis=-1))
    assert (changed.mean(axis=0) + 0.5).tolist() == pytest.approx([41, 30.5], abs=0.3)


def test_nothing_and_too_much() -> None:
    cut = made()
    with pytest.raises(ArgumentError, match="there are 4 sections"):
        cut.overlay(section=4)
    with pytest.raises(ArgumentError, match="neither imagery nor segmentation"):
        ic.Cutout(None, None, cut.bounds).overlay()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"section": "a"}, "4 sections"),
        ({"zoom": "x"}, "zoom must be"),
        ({"outline": True, "width_nm": "wide"}, "positive number of nm"),
        ({"scale_bar": "500 nm"}, "a length in nm"),
        ({"marks": [[1, 2, 3]]}, "marks are Points"),
        ({"labels": {"axon": "x"}}, "for an id"),
        ({"legend": "top"}, "corner such as"),
    ],
)
def test_options_that_make_no_sense_are_said(options: dict, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        made().overlay(**options)


@pytest.mark.parametrize(
    ("name", "near"), [("colour", "colors"), ("outlines", "outline"), ("dim", ""), ("imagery", ""), ("stretch", "")]
)
def test_options_that_there_are_not_are_said(name: str, near: str) -> None:
    with pytest.raises(TypeError, match=f"no option '{name}'.*{near}"):
        made().overlay(**{name: None})


def test_nothing_is_written_where_nothing_is_asked_for() -> None:
    cut = made(shape=(60, 40, 1))
    nothing = {"marks": None, "labels": None, "legend": np.False_, "scale_bar": None}
    assert np.array_equal(np.asarray(cut.overlay(**nothing)), np.asarray(cut.overlay()))


def test_legends_by_their_place_alone() -> None:
    cut = made(shape=(60, 40, 1))
    for place in ("below", "upper left"):
        asked = cut.overlay(zoom=4, legend=place), cut.overlay(zoom=4, legend=ic.Legend(place=place))
        assert np.array_equal(*map(np.asarray, asked))


def test_smooth_curves_follow_the_voxels_of_other_planes() -> None:
    """A sphere in voxels of 8 x 8 x 40 nm is nearly a disc in xz: no stairs as long as voxels."""
    grid = np.stack(np.meshgrid(*map(np.arange, (60, 3, 12)), indexing="ij"), axis=-1) + 0.5
    ball = np.linalg.norm((grid - (30, 1.5, 6)) * (8, 8, 40), axis=-1) < 200
    cut = ic.Cutout(None, ball.astype(np.uint64), ic.Box((0, 0, 0), ball.shape, (8.0, 8.0, 40.0)))
    for plane in ("xz", "yz"):
        block = cut if plane == "xz" else ic.Cutout(
            None, cut.segmentation.swapaxes(0, 1), ic.Box((0, 0, 0), (3, 60, 12), (8.0, 8.0, 40.0))
        )  # fmt: skip
        picture = block.overlay(plane=plane, section=1, alpha=1, smooth=True)
        y, x = np.mgrid[:60, :60] + 0.5
        disc = np.clip(25.5 - np.hypot(x - 30, y - 30), 0, 1)
        rough = block.overlay(plane=plane, section=1, alpha=1)
        off, before = (np.abs(np.asarray(one)[..., 3] / 255 - disc).sum() for one in (picture, rough))
        assert off < 0.6 * before


@pytest.mark.parametrize("plane", ["xy", "xz", "yz"])
def test_vectors_follow_the_same_curves_as_pixels(plane: Any) -> None:
    cut = ic.Cutout(None, made(shape=(60, 40, 9)).segmentation, ic.Box((0, 0, 0), (60, 40, 9), (8.0, 8.0, 37.0)))
    sheets, ids = cut.sheets(plane), cut.masks.ids.tolist()
    (figure,) = sheet_figures(sheets, 3)
    areas = figure.drawing.curves.areas()
    for number, one in enumerate(ids, start=1):
        (picture,) = sheets.pictures(3, smooth=True, alpha={other: float(other == one) for other in ids})
        seen = np.asarray(picture)[..., 3].sum() / 255
        assert seen == pytest.approx(areas[number] if number < len(areas) else 0, abs=1.5 + 0.002 * seen)


def test_legends_tell_of_what_is_highlighted() -> None:
    colors = painted_colors([1, 2, 3], {"palette": "husl", "highlight": [3]})
    assert colors == {3: painted_colors([1, 2, 3], {"palette": "husl"})[3]}


def test_what_is_given_takes_the_place_of_its_like() -> None:
    assert options_over(PAINTED, {"width_nm": 8}) == {
        "palette": "steady",
        "merge_outline": False,
        "side": "in",
        "width_nm": 8,
        "alpha": 0.3,
    }
    assert options_over({"percentiles": (1, 99), "gamma": 2}, {"display_range": (0, 9)}) == {
        "display_range": (0, 9),
        "alpha": 0.3,
    }
    assert options_over({"alpha": 0.4}, {"outline": True}) == {"alpha": 0.4, "outline": True}
    assert options_over({}, {"outline": True}) == {"outline": True, "alpha": 0.8}


def test_areas_and_outlines_have_each_their_own_opacity() -> None:
    areas, lines = options_over({}, {}), options_over({}, {"outline": True})
    assert options_over(areas, {"outline": True}) == lines
    assert options_over(lines, {"outline": False})["alpha"] == areas["alpha"] == 0.3
    assert options_over(lines, {})["alpha"] == 0.8
    assert options_over({"alpha": 0.8}, {})["alpha"] == 0.8
    assert options_over({"alpha": 0.5}, {"outline": True})["alpha"] == 0.5
    assert options_over({"alpha": {5: 0.3}}, {"outline": True})["alpha"] == {5: 0.3}
    assert options_over(areas, {"outline": True, "alpha": 0.3})["alpha"] == 0.3


def test_what_is_written_on_a_picture_is_in_its_file(tmp_path: Path) -> None:
    arrays = made(shape=(60, 40, 1))
    layers = {"image_source": arrays.image, "segmentation_source": arrays.segmentation}
    sources = {name: ic.ArraySource(array, (8, 8, 40), arrays.bounds.start) for name, array in layers.items()}
    client = ic.ImageryClient(**sources)
    cut = client.cutout(bounds=[arrays.bounds.start, arrays.bounds.stop])
    asked = {
        "marks": ic.Points([[130, 70, 7]], (8, 8, 40), name="synapse"),
        "labels": ic.Labels({BIG + 1: "axon"}),
        "legend": ic.Legend(title="Cells", place="below"),
        "zoom": 3,
    }
    for suffix in (".png", ".svg"):
        (file,) = cut.save(tmp_path / f"figure{suffix}", **asked)
        again, painting = ic.redo(file, **sources)
        (copy,) = again.save(tmp_path / f"again{suffix}", **painting)
        assert np.array_equal(again.segmentation, cut.segmentation)
        assert painting["labels"] == asked["labels"]
        assert painting["legend"] == asked["legend"]
        if suffix == ".png":
            assert np.array_equal(np.asarray(Image.open(copy)), np.asarray(Image.open(file)))
