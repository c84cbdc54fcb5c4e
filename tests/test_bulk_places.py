"""Places as callers give them: boxes of one shape, on any grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageryclient.bulk.places import Places, parse_places
from imageryclient.errors import ArgumentError, BoundsError, NotFoundError
from imageryclient.geometry import Region

coordinates = st.floats(-500, 500).map(lambda c: round(c, 2))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(coordinates, coordinates, coordinates), min_size=1, max_size=8),
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9)),
    st.sampled_from([(4.0, 4.0, 40.0), (8.0, 8.0, 40.0), (2.0, 4.0, 20.0)]),
)
def test_on_grids_as_fine_boxes_are_those_of_a_cutout(points: list, size: tuple, grid: tuple) -> None:
    places = parse_places(points, size=size, resolution=(8, 8, 40))
    for point, box in zip(points, places.boxes_at(grid), strict=True):
        assert box == Region.from_center(point, size, (8.0, 8.0, 40.0)).at(grid)
        assert box.shape == places.shape_at(grid)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(coordinates, coordinates, coordinates), min_size=1, max_size=8),
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9)),
    st.sampled_from([(16.0, 16.0, 40.0), (32.0, 32.0, 80.0), (10.0, 12.0, 45.0)]),
)
def test_on_coarser_grids_all_have_one_shape_and_lie_next_to_those_of_a_cutout(
    points: list, size: tuple, grid: tuple
) -> None:
    places = parse_places(points, size=size, resolution=(8, 8, 40))
    for point, box in zip(points, places.boxes_at(grid), strict=True):
        cut = Region.from_center(point, size, (8.0, 8.0, 40.0)).at(grid)
        assert box.shape == places.shape_at(grid)
        assert np.all(np.abs(np.subtract(box.start, cut.start)) <= 1)
        assert np.all(np.subtract(cut.shape, box.shape) <= 1)
        assert np.all(np.subtract(cut.shape, box.shape) >= 0)


def test_csv_files_are_tables(tmp_path: Path) -> None:
    file = tmp_path / "synapses.csv"
    file.write_text(
        "id,pre_pt_position_x,pre_pt_position_y,pre_pt_position_z,pre_pt_root_id,post_pt_position\n"
        "1,100,200.5,7,864691135341362885,[10 20 3]\n"
        '2,101,201,8,,"(11, 21, 4)"\n'
        "3,,,,18446744073709551615,\n",
        encoding="utf-8",
    )
    pre = parse_places(
        file, size=(8, 8), resolution=(4, 4, 40), column="pre_pt_position", ids_columns=["pre_pt_root_id"]
    )
    assert pre.centers[:2].tolist() == [[100, 200.5, 7], [101, 201, 8]]
    assert pre.placed.tolist() == [True, True, False]
    assert pre.ids["pre_pt_root_id"].tolist() == [864691135341362885, 0, 18446744073709551615]
    post = parse_places(str(file), size=(8, 8), resolution=(4, 4, 40), column="post_pt_position")
    assert post.centers[:2].tolist() == [[10, 20, 3], [11, 21, 4]]
    with pytest.raises(ArgumentError, match="several positions"):
        parse_places(file, size=(8, 8), resolution=(4, 4, 40))
    plain = tmp_path / "points.csv"
    plain.write_bytes("\ufeffX, Y,Z\r\n1,2,3\r\n\r\n4,5,6.5\r\n".encode())
    assert parse_places(plain, size=(8, 8), default=(4, 4, 40)).centers.tolist() == [[1, 2, 3], [4, 5, 6.5]]


def test_what_is_no_file_or_no_table_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no file"):
        parse_places("points.csv", size=(8, 8), default=(4, 4, 40))
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(ArgumentError, match="is empty"):
        parse_places(empty, size=(8, 8), default=(4, 4, 40))
    words = tmp_path / "words.csv"
    words.write_text("x,y,z\n1,2,three\n", encoding="utf-8")
    with pytest.raises(BoundsError, match="numbers"):
        parse_places(words, size=(8, 8), default=(4, 4, 40))
    with pytest.raises(ArgumentError, match="do not say what their numbers count"):
        parse_places([[1, 2, 3]], size=(8, 8))
    words.write_text("x,y,z\n1,2,3\n", encoding="utf-8")
    with pytest.raises(ArgumentError, match="no column 'root'"):
        parse_places(words, size=(8, 8), default=(4, 4, 40), ids_columns="root")
    with pytest.raises(ArgumentError, match="no table"):
        parse_places([[1, 2, 3]], size=(8, 8), default=(4, 4, 40), ids_columns="root")


def test_tables_say_what_their_numbers_count() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(
        {
            "pt_position": [[1, 2, 3], [4, 5, 6]],
            "id": pandas.array([2**60 + 7, None], dtype="Int64"),
            "merged": pandas.Series([float("nan"), 2**60 + 9], dtype=object),
        }
    )
    table.attrs["dataframe_resolution"] = [4, 4, 40]
    places = parse_places(table, size=(8, 8, 8), default=(8, 8, 40), ids_columns=["id", "merged"])
    assert places.resolution == (4.0, 4.0, 40.0)
    assert places.size_resolution == (8.0, 8.0, 40.0)
    assert places.ids["id"].tolist() == [2**60 + 7, 0]
    assert places.ids["merged"].tolist() == [0, 2**60 + 9]
    assert parse_places(table, size=(8, 8, 8), resolution=(8, 8, 40)).resolution == (8.0, 8.0, 40.0)


@given(st.lists(st.tuples(*[st.integers(0, 400)] * 3), min_size=1, max_size=9), st.tuples(*[st.integers(1, 40)] * 3))
def test_a_size_counts_the_callers_voxels_where_a_table_is_in_nm(
    points: list[tuple[int, ...]], size: tuple[int, ...]
) -> None:
    pandas = pytest.importorskip("pandas")
    voxels = np.array(points)
    table = pandas.DataFrame({"pt_position": (voxels * [8, 8, 40]).tolist()})
    table.attrs["dataframe_resolution"] = [1, 1, 1]
    in_nm = parse_places(table, size=size, default=(8, 8, 40))
    in_voxels = parse_places(voxels, size=size, default=(8, 8, 40))
    for grid in ((8.0, 8.0, 40.0), (16.0, 16.0, 40.0)):
        assert in_nm.shape_at(grid) == in_voxels.shape_at(grid)
        assert in_nm.starts_at(grid).tolist() == in_voxels.starts_at(grid).tolist()
    assert in_nm.take([0]).starts_at((8.0, 8.0, 40.0)).tolist() == in_voxels.starts_at((8.0, 8.0, 40.0))[:1].tolist()


def test_some_of_them_keep_their_index() -> None:
    places = parse_places(np.arange(30).reshape(10, 3), size=(8, 8), resolution=(8, 8, 40))
    assert isinstance(places, Places)
    some = places.take([7, 2]).take(slice(1, None))
    assert some.index.tolist() == [2]
    assert some.centers.tolist() == [[6, 7, 8]]
    assert parse_places(some, size=(1, 1), resolution=(1, 1, 1)) is some
