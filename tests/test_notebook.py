"""What notebooks show, read as a browser does."""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imageryclient as ic
from imageryclient.coverage import Coverage
from imageryclient.cutout import Cutout
from imageryclient.geometry import Box
from imageryclient.notebook import card, table

AT = (8.0, 8.0, 40.0)
BIG = 864691135341362885
WIDE = Box((0, 0, 0), (3000, 1500, 1), AT)
VOID = {"img", "br"}


class Page(HTMLParser):
    """Rows of text, and the pictures and links; every tag that opens must close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.pictures: list[str] = []
        self.links: list[str] = []
        self.title, self._open = "", []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "br":
            self.rows[-1][-1] += "\n"
        if tag == "img":
            self.pictures.append(dict(attrs)["src"])
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        elif not self.title:
            self.title = data


def made(shape: tuple[int, int, int] = (12, 9, 3), **more: Any) -> Cutout:
    box = Box((10, 20, 30), tuple(a + b for a, b in zip((10, 20, 30), shape, strict=True)), AT)
    segmentation = np.zeros(shape, np.uint64)
    segmentation[: shape[0] // 2], segmentation[-2:] = BIG, 7
    known = {
        "image": np.full(shape, 99, np.uint8),
        "segmentation": segmentation,
        "bounds": box,
        "timestamp": datetime(2024, 5, 1, 12, 0, 0, 5, tzinfo=UTC),
        "coverage": {
            "imagery": Coverage(box, outside=(Box(box.start, (13, *box.stop[1:]), AT),)),
            "segmentation": Coverage(box),
        },
        "sources": {"imagery": "precomputed://gs://bucket/<em>", "segmentation": "gs://bucket/seg"},
        "mips": {"imagery": 1, "segmentation": 0},
    }
    return Cutout(**{**known, **more})


def test_a_cutout_shows_itself() -> None:
    page = Page(made()._repr_html_())
    assert page.title == "Cutout of imagery and segmentation"
    assert dict(page.rows) == {
        "voxels": "12 x 9 x 3 of 8 x 8 x 40 nm",
        "size": "0.096 x 0.072 x 0.12 µm",
        "centre": "16, 24, 31 in these voxels",
        "moment": "2024-05-01 12:00:00 UTC",
        "ids": "2",
        "imagery": "mip 1, 25 % of its voxels lie outside the data\nprecomputed://gs://bucket/<em>",
        "segmentation": "mip 0, complete\ngs://bucket/seg",
        "picture": "section 2 of 3",
    }
    (picture,) = page.pictures
    with Image.open(io.BytesIO(base64.b64decode(picture.removeprefix("data:image/png;base64,")))) as shown:
        assert np.array_equal(np.asarray(shown), np.asarray(made().overlay()[1]))
    (link,) = page.links
    assert link == made().record().link


@pytest.mark.parametrize(
    ("root_ids", "said"), [("all", "2"), (None, "2 supervoxels"), ((BIG, 5, 7), "2 of 3 asked for")]
)
def test_which_ids(root_ids: Any, said: str) -> None:
    assert dict(Page(made(root_ids=root_ids)._repr_html_()).rows)["ids"] == said


def test_cutouts_of_less() -> None:
    page = Page(Cutout(np.zeros((5, 4, 1), np.uint8), None, Box((0, 0, 0), (5, 4, 1), AT))._repr_html_())
    assert [name for name, _ in page.rows] == ["voxels", "size", "centre"]
    assert not page.links
    empty = Page(Cutout(None, None, Box((0, 0, 0), (5, 4, 1), AT))._repr_html_())
    assert (empty.title, empty.pictures) == ("Cutout of nothing", [])


def test_pictures_in_a_page_are_small() -> None:
    cut = Cutout(np.zeros((900, 400, 1), np.uint8), None, Box((0, 0, 0), (900, 400, 1), AT))
    (picture,) = Page(cut._repr_html_()).pictures
    with Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2]))) as shown:
        assert shown.size == (640, 284)
    with Image.open(io.BytesIO(cut._repr_png_() or b"")) as shown:
        assert shown.size == (900, 400)
    section = ic.SectionCutout(np.zeros((3000, 1500), np.uint8), None, ic.Section((0.0, 0.0, 0.0), (3000, 1500), 4.0))
    for one, size in ((section, (1024, 512)), (Cutout(section.image[:, :, None], None, WIDE), (1024, 512))):  # type: ignore[index]
        with Image.open(io.BytesIO(one._repr_png_() or b"")) as shown:
            assert shown.size == size


def test_few_pixels_stay_squares_where_they_are_drawn_larger() -> None:
    small, large = (Cutout(np.zeros((n, 30, 1), np.uint8), None, Box((0, 0, 0), (n, 30, 1), AT)) for n in (40, 400))
    assert "image-rendering:pixelated" in small._repr_html_()
    assert "image-rendering" not in large._repr_html_()


def test_what_no_picture_can_show_is_shown_without_one() -> None:
    cut = Cutout(np.zeros((30, 20, 2, 5), np.uint8), None, Box((0, 0, 0), (30, 20, 2), AT))
    assert cut._repr_png_() is None
    assert Page(cut._repr_html_()).pictures == []


def test_cubes_say_what_they_were_taken_from() -> None:
    cut = Cutout(np.zeros((30, 20, 2), np.uint8), None, Box((0, 0, 0), (30, 20, 2), AT))
    assert ["taken from", "30 x 20 x 2 of 8 x 8 x 40 nm"] in Page(cut.isotropic()._repr_html_()).rows


def test_masks_show_the_largest() -> None:
    ids = np.repeat(np.arange(1, 14, dtype=np.uint64) + np.uint64(BIG), np.arange(100, 1400, 100)).reshape(-1, 10)
    page = Page(ic.SegmentationMasks(ids)._repr_html_())
    assert page.title == "13 ids in an array of 910 x 10"
    assert page.rows[0] == ["id", "voxels"]
    assert page.rows[1] == [str(BIG + 13), "1,300"]
    assert len(page.rows) == 11
    few = Page(ic.SegmentationMasks([[0, 5]])._repr_html_())
    assert few.rows == [["id", "voxels"], ["5", "1"]]
    assert Page(ic.SegmentationMasks([[0, 0]])._repr_html_()).rows == [["id", "voxels"]]


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '" onload="x', "a&b", "'"])
def test_nothing_from_outside_becomes_markup(evil: str) -> None:
    page = Page(card(evil, {evil: evil}, b"x", {evil: evil}))
    assert (page.rows, page.links) == ([[evil, evil]], [evil])
    assert Page(table(evil, [evil], [[evil]], evil)).rows == [[evil], [evil]]
