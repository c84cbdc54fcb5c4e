"""Places as callers name them, and what is said before a read and after it."""

from __future__ import annotations

import gc
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

import imageryclient as ic
from imageryclient.errors import (
    ArgumentError,
    BoundsError,
    IdWarning,
    ImageryWarning,
    MissingDataError,
    MissingDataWarning,
    OutOfBoundsError,
    ScaleError,
    TooLargeError,
)
from imageryclient.place import Place, bbox_size_of
from imageryclient.reading import parse_missing

FINE, VIEWER = (8.0, 8.0, 40.0), (4.0, 4.0, 40.0)


@pytest.fixture
def local(datastack: Any) -> ic.ImageryClient:
    """A client of the folders; its segmentation is that of supervoxels."""
    return ic.ImageryClient(
        image_source=str(datastack.folder / "imagery"),
        segmentation_source=str(datastack.folder / "supervoxels"),
        resolution=datastack.fine,
    )


# ---- places -----------------------------------------------------------------------------------------------------

coordinates = st.integers(-(10**6), 10**6)
sizes = st.integers(1, 5000)


@given(st.tuples(coordinates, coordinates, coordinates), st.tuples(sizes, sizes, sizes), st.booleans())
def test_a_centre_with_a_size(center: Any, size: Any, two: bool) -> None:
    given_size = size[:2] if two else size
    low = [c - s // 2 for c, s in zip(center, size if not two else (*size[:2], 1), strict=True)]
    for place in (
        Place(center, FINE, bbox_size=given_size),
        Place(np.array(center), FINE, bbox_size=np.array(given_size)),
        Place([center, center], FINE, bbox_size=given_size),
        Place(center, FINE, image_size=given_size),
    ):
        box = place.region(FINE).grid
        assert list(box.start) == low
        assert box.shape == (*size[:2], 1 if two else size[2])


@given(st.tuples(coordinates, coordinates, coordinates), st.tuples(sizes, sizes))
def test_an_image_size_counts_pixels_of_the_layer(center: Any, size: Any) -> None:
    place = Place(center, VIEWER, image_size=size)
    box = place.region(FINE).grid
    assert box.resolution == FINE
    assert box.shape == (*size, 1)
    assert box.start[0] == (center[0] - size[0] + 1) // 2  # nearest to where 2 x size voxels of the caller start
    asked = place.asked(FINE)
    assert asked.resolution == VIEWER
    assert asked.at(FINE) == box


@pytest.mark.parametrize(
    ("place", "error", "words"),
    [
        ({"bounds": None}, BoundsError, "say where to cut"),
        ({"bounds": [[9, 0, 0], [5, 9, 9]]}, BoundsError, "along x the span from 9 to 5 is reversed"),
        ({"bounds": [[0, 0, 3], [5, 9, 3]]}, BoundsError, "along z the span from 3 to 3 is empty"),
        ({"bounds": [[0, 0, float("nan")], [5, 9, 9]]}, BoundsError, "finite"),
        ({"bounds": [[0, 0, 0], [5, 9, float("inf")]]}, BoundsError, "finite"),
        ({"bounds": [[0, 0], [5, 9]]}, BoundsError, "2 x 3 numbers"),
        ({"bounds": [1, 2, 3]}, BoundsError, "give bbox_size or image_size"),
        ({"bounds": [1, 2, 3, 4]}, BoundsError, "2 x 3 numbers"),
        ({"bounds": "here"}, BoundsError, "'here'"),
        ({"bounds": [[0, 0, 0], [1e300, 1, 1]]}, BoundsError, "finite"),
        ({"bounds": [1, 2], "bbox_size": (5, 5)}, BoundsError, "three numbers"),
        ({"bounds": [1, 2, None], "bbox_size": (5, 5)}, BoundsError, "three numbers|finite"),
        ({"bounds": [1, 2, 3], "bbox_size": (5,)}, BoundsError, "two or three|three numbers"),
        ({"bounds": [1, 2, 3], "bbox_size": 5}, BoundsError, "two or three|three numbers"),
        ({"bounds": [1, 2, 3], "bbox_size": (5, 0)}, BoundsError, "positive"),
        ({"bounds": [1, 2, 3], "bbox_size": (5, -1, 3)}, BoundsError, "positive"),
        ({"bounds": [1, 2, 3], "bbox_size": (5, float("nan"))}, BoundsError, "finite"),
        ({"bounds": [1, 2, 3], "bbox_size": (5, 5), "image_size": (5, 5)}, ArgumentError, "not both"),
        ({"bounds": [1, 2, 3], "image_size": (0, 5)}, BoundsError, "positive"),
    ],
)
def test_places_that_make_no_box(local: ic.ImageryClient, place: dict[str, Any], error: Any, words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        Place(**{"resolution": FINE, **place}).region(FINE)
    assert isinstance(caught.value, ValueError)
    for call in (local.image_cutout, local.segmentation_cutout, local.split_segmentation_cutout):
        with pytest.raises(error, match=words):
            call(**place)
    if "image_size" not in place:
        with pytest.raises(error, match=words):
            local.image_and_segmentation_cutout(**place)


def test_bbox_size_of_pixels() -> None:
    assert bbox_size_of((256, 256), FINE, VIEWER) == [512, 512, 1]
    assert bbox_size_of((256, 128, 7), (16, 16, 40), FINE) == [512, 256, 7]
    assert bbox_size_of(np.array([3, 3]), VIEWER, (8, 8, 20)) == [1.5, 1.5, 1]
    with pytest.raises(BoundsError):
        bbox_size_of(5, FINE, VIEWER)


@pytest.mark.parametrize("resolution", [(8, 8), (8, 8, 0), (8, 8, -40), "fine", (8, 8, float("nan")), 8])
def test_resolutions_that_make_no_sense(local: ic.ImageryClient, resolution: Any) -> None:
    with pytest.raises(ArgumentError, match="resolution must be"):
        local.image_cutout([[0, 0, 0], [1, 1, 1]], resolution=resolution)


# ---- scales -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mip", [3, -1, 99, (5, 5, 40), "fine", 1.5, True])
def test_mips_that_do_not_exist(datastack: Any, local: ic.ImageryClient, mip: Any) -> None:
    where = {"bounds": datastack.middle, "bbox_size": (8, 8)}
    with pytest.raises(ScaleError) as caught:
        local.image_cutout(mip=mip, **where)
    assert isinstance(caught.value, LookupError)
    if isinstance(mip, (int, tuple)) and mip is not True:
        words = str(caught.value)
        assert "mip 0 (4 x 4 x 40 nm, placeholder without data), mip 1 (8 x 8 x 40 nm), mip 2 (16 x 16" in words
        assert local.image_source in words
    with pytest.raises(ScaleError):
        local.image_and_segmentation_cutout(segmentation_mip=mip, **where)
    for layer in ("image_mip", "segmentation_mip"):
        with pytest.raises(ScaleError):
            local.cutout(datastack.middle, **{layer: mip})


def test_a_mip_may_be_a_resolution(datastack: Any, local: ic.ImageryClient) -> None:
    where = {"bounds": datastack.middle, "bbox_size": (8, 8, 2)}
    by_number = local.image_cutout(mip=2, **where)
    assert np.array_equal(local.image_cutout(mip=(16, 16, 40), **where), by_number)
    assert np.array_equal(local.image_cutout(mip=np.array([16, 16, 40]), **where), by_number)
    assert np.array_equal(local.image_cutout(mip=np.int64(2), **where), by_number)


def test_a_placeholder_is_read_only_on_request_and_says_so(datastack: Any, local: ic.ImageryClient) -> None:
    where = {"bounds": datastack.middle, "bbox_size": (8, 8)}
    assert local.image_cutout(**where).shape == (8, 8)
    with pytest.warns(MissingDataWarning, match="100 %"):
        assert not local.image_cutout(mip=0, **where).any()
    with pytest.raises(MissingDataError, match="100 %"):
        local.image_cutout(mip=0, missing="raise", **where)


# ---- outside ----------------------------------------------------------------------------------------------------


def test_a_box_wholly_outside_says_where_the_data_are(datastack: Any, local: ic.ImageryClient) -> None:
    with pytest.raises(OutOfBoundsError) as caught:
        local.image_cutout([[9000, 9000, 900], [9010, 9010, 901]])
    words = str(caught.value)
    assert isinstance(caught.value, (IndexError, ValueError))
    assert "[9000:9010, 9000:9010, 900:901] at 8 x 8 x 40 nm" in words
    assert "imagery spans [100:305, 60:223, 7:44] at 8 x 8 x 40 nm (mip 1" in words
    assert local.image_source in words
    assert "would fit" not in words
    with pytest.raises(OutOfBoundsError, match=r"imagery spans .*; segmentation spans"):
        local.cutout((9000, 9000, 900))


@pytest.mark.parametrize(
    ("meant", "given"),
    [((4, 4, 40), (8, 8, 40)), ((8, 8, 40), (4, 4, 40)), ((16, 16, 40), (4, 4, 40)), ((8, 8, 40), (1, 1, 1))],
)
@pytest.mark.parametrize("how", ["bounds", "bbox_size", "image_size"])
def test_a_wrong_unit_is_guessed(datastack: Any, local: ic.ImageryClient, meant: Any, given: Any, how: str) -> None:
    corner = np.array([110, 70, 10]) * [8, 8, 40] / meant
    if how == "bounds":
        where = {"bounds": [corner, corner + 4]}
    else:
        where = {"bounds": corner, how: (6, 6)}
    if meant == (4, 4, 40):
        where["bounds"] = np.array(where["bounds"]) + np.array([200, 200, 0])
    with pytest.raises(OutOfBoundsError, match="would fit") as caught:
        local.image_cutout(resolution=given, **where)
    words = str(caught.value)
    assert " x ".join(map(str, meant)) in words.split("would fit")[1]
    suggested = words.split("pass resolution=(")[1].rstrip(")")
    local.image_cutout(resolution=[float(n) for n in suggested.split(",")], missing="fill", **where)


def test_the_guess_knows_the_clients_own_unit(datastack: Any) -> None:
    client = ic.ImageryClient(segmentation_source=str(datastack.folder / "supervoxels"), resolution=(2, 2, 20))
    corner = np.array([200, 140, 20]) * 4
    with pytest.raises(OutOfBoundsError, match=r"pass resolution=\(2, 2, 20\)"):
        client.segmentation_cutout(corner, bbox_size=(8, 8), resolution=(8, 8, 40))


# ---- memory -----------------------------------------------------------------------------------------------------


def test_an_absurdly_large_box_is_refused_before_anything_is_read(
    datastack: Any, server: Any, connect: Any, chunk_requests: Any
) -> None:
    running = server()
    client = connect(running)
    client.image_bbox_size_from_dimensions((1, 1))
    client.segmentation_bbox_size_from_dimensions((1, 1))
    gc.collect()
    resident = psutil.Process().memory_info().rss
    tracemalloc.start()
    huge = [[0, 0, 0], [10**6, 10**6, 10**5]]
    calls = (
        lambda: client.image_cutout(huge),
        lambda: client.image_cutout(huge, scale_to_bounds=True, mip=2),
        lambda: client.segmentation_cutout(huge),
        lambda: client.split_segmentation_cutout(huge),
        lambda: client.image_and_segmentation_cutout(huge, missing="fill"),
        lambda: client.cutout(datastack.middle, (10**7, 10**7, 100)),
    )
    for call in calls:
        with pytest.raises(TooLargeError, match=r"would take about .*(GiB|TiB).*over the limit of") as caught:
            call()
        assert isinstance(caught.value, MemoryError)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20
    assert psutil.Process().memory_info().rss - resident < 32 * 2**20
    assert not chunk_requests(running)


def test_a_limit_of_ones_own(datastack: Any) -> None:
    source = str(datastack.folder / "imagery")
    small = ic.ImageryClient(image_source=source, memory_limit=1000)
    assert small.image_cutout([[110, 70, 10], [120, 80, 20]]).nbytes == 1000
    with pytest.raises(TooLargeError, match=r"1.07 KiB, over the limit of 1e\+03 bytes; .*memory_limit="):
        small.image_cutout([[110, 70, 10], [121, 80, 20]])
    with pytest.raises(TooLargeError):  # what is read and what is made of it count together
        small.image_cutout([[110, 70, 10], [120, 80, 20]], scale_to_bounds=True, mip=2)
    with pytest.raises(TooLargeError):
        small.image_cutout([[1, 1, 1], [1000, 1000, 400]], resolution=(1, 1, 1), scale_to_bounds=True)


# ---- what was missing -------------------------------------------------------------------------------------------


def beyond(stack: Any) -> dict[str, Any]:
    """Half of it beyond the far corner, in both layers and at the absent chunk."""
    far = np.add(stack.offsets[0], stack.supervoxels[0].shape)
    return {"bounds": [far - [20, 20, 8], far + [20, 0, 0]]}


CALLS = {
    "image": lambda client, **where: client.image_cutout(**where),
    "segmentation": lambda client, **where: client.segmentation_cutout(**where),
    "split": lambda client, **where: client.split_segmentation_cutout(**where),
    "both": lambda client, **where: client.image_and_segmentation_cutout(**where),
    "cutout": lambda client, **where: client.cutout(**where),
}


@pytest.mark.parametrize("name", CALLS)
def test_one_warning_a_call_with_figures_and_the_callers_line(
    datastack: Any, local: ic.ImageryClient, name: str
) -> None:
    call = CALLS[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(local, **beyond(datastack))
    (warning,) = caught
    assert warning.category is MissingDataWarning
    assert warning.filename == __file__
    assert "lambda client" in Path(__file__).read_text(encoding="utf-8").splitlines()[warning.lineno - 1]
    words = str(warning.message)
    assert "50 % of its voxels lie outside the data" in words
    assert ("imagery:" in words) == (name in ("image", "both", "cutout"))
    assert ("segmentation:" in words) == (name != "image")
    assert "they are 0 in the result" in words


@pytest.mark.parametrize("name", CALLS)
def test_fill_is_silent_and_raise_raises(datastack: Any, local: ic.ImageryClient, name: str) -> None:
    call = CALLS[name]
    call(local, **beyond(datastack), missing="fill")
    with pytest.raises(MissingDataError, match="50 % of its voxels lie outside the data"):
        call(local, **beyond(datastack), missing="raise")
    strict = ic.ImageryClient(
        image_source=local.image_source, segmentation_source=local.segmentation_source, missing="raise"
    )
    with pytest.raises(MissingDataError):
        call(strict, **beyond(datastack))
    call(strict, **beyond(datastack), missing="fill")
    call(strict, bounds=[np.array(datastack.middle), np.array(datastack.middle) + 4])


def test_chunks_never_written_are_told_from_outside(datastack: Any, local: ic.ImageryClient) -> None:
    far = np.add(datastack.offsets[0], datastack.supervoxels[0].shape)
    with pytest.warns(MissingDataWarning) as caught:
        local.image_cutout([far - [26, 10, 4], far - [0, 0, 3]])
    (warning,) = caught
    assert "50 % of its voxels lie in a chunk that was never written" in str(warning.message)
    assert "outside" not in str(warning.message)
    with pytest.warns(MissingDataWarning, match="outside the data and .* never written"):
        local.image_cutout(**beyond(datastack), mip=1)


def test_missing_voxels_and_missing_ids_are_one_warning_each(datastack: Any, local: ic.ImageryClient) -> None:
    ids = [int(np.unique(datastack.supervoxels[0])[5]), *range(1, 9)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        local.segmentation_cutout(**beyond(datastack), root_ids=ids)
    assert [warning.category for warning in caught] == [MissingDataWarning, IdWarning]
    assert {warning.filename for warning in caught} == {__file__}
    words = str(caught[1].message)
    assert "9 of the 9 ids" in words
    assert "…" in words  # not all of them
    assert "UTC" not in words  # supervoxels do not change
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            local.segmentation_cutout(**beyond(datastack), root_ids=ids)
    assert len(caught) == 6  # each call speaks for itself


def test_a_caller_beside_the_package_is_still_the_caller(datastack: Any, local: ic.ImageryClient) -> None:
    beside = str(Path(ic.__file__).parent) + "-scripts/mine.py"
    code = compile("client.image_cutout(**where)", beside, "exec")
    with pytest.warns(MissingDataWarning) as caught:
        exec(code, {"client": local, "where": beyond(datastack)})
    assert caught[0].filename == beside


def test_the_callers_own_words_for_missing(local: ic.ImageryClient, datastack: Any) -> None:
    for value in ("ignore", None, True, 0, ["warn"]):
        with pytest.raises(ArgumentError, match="'fill', 'warn' or 'raise'"):
            parse_missing(value)
    with pytest.raises(ArgumentError, match="missing must be"):
        local.image_cutout([[110, 70, 10], [120, 80, 20]], missing="ignore")
    with pytest.raises(ArgumentError, match="missing must be"):
        ic.ImageryClient(image_source=local.image_source, missing="ignore")
    with pytest.warns(ImageryWarning):
        local.image_cutout(**beyond(datastack), missing="warn")


def test_nothing_is_said_when_nothing_is_missing(datastack: Any, local: ic.ImageryClient) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = [np.array(datastack.offsets[1]) * [2, 2, 1], np.array([200, 150, 40])]
        for call in CALLS.values():
            call(local, bounds=whole)
            call(local, bounds=whole, missing="raise")
