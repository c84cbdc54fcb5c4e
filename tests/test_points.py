"""Points as arrays and as CAVE tables, some of which the real caveclient makes from a server's answers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imageryclient.errors import ArgumentError, BoundsError
from imageryclient.points import parse_points, stored_voxels

pd = pytest.importorskip("pandas")
XYZ = np.array([[1.5, 2, 3], [40, 50, 60], [7, 8, 9]])


def split(name: str, xyz: Any = XYZ) -> dict[str, Any]:
    return {f"{name}_{axis}": np.asarray(xyz)[:, n] for n, axis in enumerate("xyz")}


# ---- arrays -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "points",
    [
        XYZ,
        XYZ.tolist(),
        tuple(map(tuple, XYZ)),
        list(XYZ),
        (row for row in XYZ.tolist()),
        XYZ.astype(np.float32),
        np.array([None, *XYZ], dtype=object)[1:],
        XYZ.astype(object),
        pd.Series(list(XYZ)),
        pd.Series(XYZ.tolist(), index=[9, 9, 1]),
    ],
)
def test_many_points(points: Any) -> None:
    got = parse_points(points)
    assert got.xyz.dtype == np.float64
    assert np.array_equal(got.xyz, XYZ)
    assert got.resolution is None
    assert got.placed.all()
    assert len(got) == 3


@pytest.mark.parametrize("point", [[1, 2, 3], (1, 2, 3), np.array([1, 2, 3], np.uint64), [[1, 2, 3]], range(1, 4)])
def test_one_point(point: Any) -> None:
    assert parse_points(point).xyz.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    "nothing", [[], np.empty((0, 3)), pd.Series([], dtype=object), pd.DataFrame(split("pt")).iloc[:0]]
)
def test_no_points(nothing: Any) -> None:
    assert parse_points(nothing).xyz.shape == (0, 3)


@pytest.mark.parametrize(
    "points",
    [[[1, 2, 3], None], [[1, 2, 3], [np.nan] * 3], [[1, 2, 3], [None, 5, 6]], pd.Series([[1, 2, 3], None]),
     pd.Series([np.array([1, 2, 3]), np.nan]), pd.Series([[1, 2, 3], pd.NA])],
)  # fmt: skip
def test_rows_without_a_position(points: Any) -> None:
    got = parse_points(points)
    assert got.placed.tolist() == [True, False]
    assert got.xyz[0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "points",
    ["1, 2, 3", 5, None, {"x": 1}, [1, 2], [[1, 2]], [[1, 2, 3], [1, 2]], [["a", "b", "c"]], np.ones((2, 2, 3)),
     [[1, 2, np.inf]], [[2**53, 0, 0]], [True, False, True], [[1j, 0, 0]], pd.Series([1, 2, 3]), pd.Series(["[1 2 3]"]),
     pd.Series([[1, 2, 3], "123"]), [[1, 2, 3], 5]],
)  # fmt: skip
def test_what_is_no_point_is_refused(points: Any) -> None:
    with pytest.raises(BoundsError, match=r"points|position"):
        parse_points(points)


@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 30), st.just(3)), elements=st.floats(-(2.0**52), 2.0**52)))
@settings(max_examples=60)
def test_arrays_lists_columns_and_tables_say_the_same(xyz: np.ndarray) -> None:
    frame = pd.DataFrame(split("pt_position", xyz))
    joined = pd.DataFrame({"id": range(len(xyz)), "pt_position": list(xyz)})
    for given_as in (xyz, xyz.tolist(), list(xyz), frame, joined, joined["pt_position"]):
        assert np.array_equal(parse_points(given_as).xyz, xyz)


@given(
    st.lists(st.integers(-(10**6), 10**6), min_size=3, max_size=3),
    st.sampled_from([(4.0, 4.0, 40.0), (8.0, 8.0, 40.0), (1.0, 1.0, 1.0), (16.0, 16.0, 80.0), (0.1, 0.3, 7.0)]),
    st.sampled_from([(8.0, 8.0, 40.0), (4.0, 4.0, 20.0), (32.0, 32.0, 40.0), (0.3, 0.1, 3.5)]),
)
def test_the_stored_voxel_holds_the_point(xyz: list[int], unit: Any, stored: Any) -> None:
    (voxel,) = stored_voxels(np.array([xyz], dtype=np.float64), unit, stored)
    place = np.array(xyz) * unit / np.array(stored)
    assert np.all(place >= voxel - 1e-6)
    assert np.all(place < voxel + 1 - 1e-6 + 1e-9 * np.abs(place))


# ---- tables -----------------------------------------------------------------------------------------------------


def test_positions_split_and_joined() -> None:
    both = pd.DataFrame({"id": [1, 2, 3], **split("pre_pt_position"), "ctr_pt_position": list(XYZ + 1), "size": 5})
    assert np.array_equal(parse_points(both, "pre_pt_position").xyz, XYZ)
    assert np.array_equal(parse_points(both, "ctr_pt_position").xyz, XYZ + 1)
    for column, listed in ((None, "several positions"), ("pt_position", "no position"), ("size", "holds no positions")):
        with pytest.raises(ArgumentError, match=listed) as caught:
            parse_points(both, column)
        assert "pre_pt_position" in str(caught.value)
        assert "ctr_pt_position" in str(caught.value)


def test_corners_of_boxes_are_no_places_unless_named() -> None:
    nuclei = pd.DataFrame({**split("pt_position"), **split("bb_start_position", XYZ - 9), "bb_end_position": list(XYZ)})
    assert np.array_equal(parse_points(nuclei).xyz, XYZ)
    assert np.array_equal(parse_points(nuclei, "bb_start_position").xyz, XYZ - 9)


def test_suffixes_of_joins_and_plain_columns() -> None:
    joined = pd.DataFrame({f"pt_position_{axis}_ref": XYZ[:, n] for n, axis in enumerate("xyz")})
    assert np.array_equal(parse_points(joined, "pt_position_ref").xyz, XYZ)
    assert np.array_equal(parse_points(pd.DataFrame(dict(zip("xyz", XYZ.T, strict=True)))).xyz, XYZ)


def test_tables_without_positions_say_what_they_have() -> None:
    with pytest.raises(ArgumentError, match="it has id, pt_position_x, note"):
        parse_points(pd.DataFrame({"id": [1], "pt_position_x": [1.0], "note": ["abc"]}))
    with pytest.raises(ArgumentError, match="it has no columns"):
        parse_points(pd.DataFrame())
    with pytest.raises(ArgumentError, match="twice"):
        parse_points(pd.DataFrame({**split("pt"), "pt": list(XYZ)}), "pt")
    with pytest.raises(BoundsError, match="must hold numbers"):
        parse_points(pd.DataFrame({"pt_x": ["a"], "pt_y": ["b"], "pt_z": ["c"]}))
    with pytest.raises(BoundsError, match="row 1 of column 'pt'"):
        parse_points(pd.DataFrame({"pt": [[1, 2, 3], [1, 2]]}))
    with pytest.raises(ArgumentError, match="names a position of a table"):
        parse_points(XYZ, "pt_position")


def test_nullable_columns() -> None:
    frame = pd.DataFrame({f"pt_{axis}": pd.array([1, None], dtype="Int64") for axis in "xyz"})
    assert parse_points(frame).placed.tolist() == [True, False]
    assert np.array_equal(parse_points(frame.astype("Float32")).xyz[0], [1, 1, 1])


def test_empty_joined_columns() -> None:
    frame = pd.DataFrame({"id": [], "pt_position": np.array([], dtype=object)})
    assert parse_points(frame).xyz.shape == (0, 3)
    assert parse_points(frame, "pt_position").xyz.shape == (0, 3)


# ---- resolutions of tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("noted", [[4, 4, 40], (4.0, 4.0, 40.0), np.array([4, 4, 40]), "4, 4, 40", ["4", "4", "40"]])
def test_the_resolution_that_a_table_notes(noted: Any) -> None:
    frame = pd.DataFrame({"id": [1, 2, 3], "pt_position": list(XYZ)})
    frame.attrs["dataframe_resolution"] = noted
    assert parse_points(frame).resolution == (4.0, 4.0, 40.0)
    assert parse_points(frame["pt_position"]).resolution == (4.0, 4.0, 40.0)
    assert parse_points(frame[frame.id > 1]).resolution == (4.0, 4.0, 40.0)
    assert parse_points(frame["pt_position"].to_numpy()).resolution is None
    assert parse_points(frame, scaled=True).resolution is None


@pytest.mark.parametrize("noted", ["somehow", [4, 4], [4, 4, None], [0, 4, 40]])
def test_a_resolution_that_is_none_is_refused(noted: Any) -> None:
    frame = pd.DataFrame(split("pt"))
    frame.attrs["dataframe_resolution"] = noted
    with pytest.raises(ArgumentError, match="resolution"):
        parse_points(frame)
    assert len(parse_points(frame, scaled=True)) == 3


def test_mixed_resolutions_are_refused_by_name() -> None:
    frame = pd.DataFrame(split("pt_position"))
    tables = {"cells": {"table_voxel_resolution": [4, 4, 40]}, "nuclei": {"table_voxel_resolution": [8, 8, 40]}}
    frame.attrs.update({"dataframe_resolution": "mixed_resolutions", "tables": tables})
    with pytest.raises(ArgumentError, match=r"cells: \[4, 4, 40\], nuclei: \[8, 8, 40\]"):
        parse_points(frame)


# ---- what the real caveclient makes -----------------------------------------------------------------------------


def tables_of(server: Any, rows: Any, resolution: tuple[float, ...]) -> Any:
    """A transport for caveclient's session that answers table queries as the materialization service does."""
    import pyarrow as pa
    from requests import Response
    from requests.adapters import HTTPAdapter

    class Tables(HTTPAdapter):
        def send(self, request: Any, *rest: Any, **options: Any) -> Response:
            if "/table/" not in request.url and not request.url.endswith("/query"):
                return super().send(request, *rest, **options)
            response = Response()
            response.status_code, response.url, response.request = 200, request.url, request
            if request.url.endswith("/metadata"):
                names = ("voxel_resolution_x", "voxel_resolution_y", "voxel_resolution_z")
                about = {"table_name": "synapses", "reference_table": None, **dict(zip(names, resolution, strict=True))}
                response.raw, response.headers["Content-Type"] = (
                    io.BytesIO(json.dumps(about).encode()),
                    "application/json",
                )
                return response
            asked = json.loads(request.body)
            frame = rows.copy()
            if asked.get("desired_resolution"):
                for n, axis in enumerate("xyz"):
                    names = [name for name in frame.columns if name.endswith(f"_{axis}")]
                    frame[names] = frame[names] * resolution[n] / asked["desired_resolution"][n]
                response.headers["dataframe_resolution"] = ", ".join(map(str, asked["desired_resolution"]))
            sink = pa.BufferOutputStream()
            table = pa.Table.from_pandas(frame)
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
            response.raw, response.headers["Content-Type"] = io.BytesIO(sink.getvalue().to_pybytes()), "data.arrow"
            return response

    return Tables()


@pytest.mark.parametrize("desired", [None, [8, 8, 40], [1, 1, 1]])
@pytest.mark.parametrize("apart", [False, True])
def test_tables_of_the_real_caveclient(
    datastack: Any, server: Callable[..., Any], cave: Callable[..., Any], desired: Any, apart: bool
) -> None:
    import imageryclient as ic

    running = server()
    client = cave(running, version=max(datastack.history.versions))
    fine = np.array(datastack.middle) + np.random.default_rng(3).integers(-60, 60, (80, 3)) * [1, 1, 0]
    stored = (8.0, 8.0, 40.0)
    pre, post = fine * stored / np.array(datastack.viewer), (fine + [3, 2, 1]) * stored / np.array(datastack.viewer)
    rows = pd.DataFrame({"id": np.arange(80), **split("pre_pt_position", pre), **split("post_pt_position", post)})
    client.materialize.session.mount(running.url, tables_of(running, rows, datastack.viewer))
    frame = client.materialize.query_table("synapses", split_positions=apart, desired_resolution=desired)
    assert len(frame) == 80
    assert ("pre_pt_position_x" in frame.columns) == apart
    points = parse_points(frame, "pre_pt_position")
    assert points.resolution == tuple(map(float, desired or datastack.viewer))
    imagery = ic.ImageryClient(client, resolution=(8, 8, 40))  # other than the table's: the table says its own
    late = datastack.history.versions[max(datastack.history.versions)]
    for column, xyz in (("pre_pt_position", fine), ("post_pt_position", fine + [3, 2, 1])):
        expected = [datastack.roots(p, p + 1, late).item() for p in xyz]
        assert imagery.root_ids_at(frame, column=column).tolist() == expected
        if not apart:
            assert imagery.root_ids_at(frame[column]).tolist() == expected
    with pytest.raises(ArgumentError, match="several positions"):
        imagery.root_ids_at(frame)
