"""Metadata of Zarr, N5 and OME-Zarr: what is read, what is refused, and where voxels lie."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageryclient.errors import FormatError, ScaleError, SourceError
from imageryclient.geometry import Box
from imageryclient.zarr.arrays import ZarrArray, parse_n5, parse_zarr2, parse_zarr3
from imageryclient.zarr.choice import Choice, parse_choice
from imageryclient.zarr.grids import lay_out
from imageryclient.zarr.multiscales import Axis, Level, parse_multiscales, whereabouts
from imageryclient.zarr.n5groups import array_level, group_levels
from imageryclient.zarr.units import nm_per, read_quantity

V2 = {"zarr_format": 2, "shape": [20, 30, 40], "chunks": [8, 8, 8], "dtype": "<u2", "order": "C", "fill_value": 0,
      "compressor": {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 1}, "filters": None}  # fmt: skip
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
V3 = {"zarr_format": 3, "node_type": "array", "shape": [20, 30, 40], "data_type": "uint16", "fill_value": 0,
      "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [8, 8, 8]}},
      "chunk_key_encoding": {"name": "default"}, "codecs": [LITTLE]}  # fmt: skip
N5 = {"dimensions": [40, 30, 20], "blockSize": [8, 8, 8], "dataType": "uint16", "compression": {"type": "gzip"}}


def sharding(**more: Any) -> dict[str, Any]:
    configuration = {"chunk_shape": [4, 4, 2], "codecs": [LITTLE], "index_codecs": [LITTLE, {"name": "crc32c"}], **more}
    return {**V3, "codecs": [{"name": "sharding_indexed", "configuration": configuration}]}


# ---- arrays -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "key"),
    [
        (parse_zarr2(V2, {}), "1.2.3"),
        (parse_zarr2({**V2, "dimension_separator": "/"}, {}), "1/2/3"),
        (parse_zarr3(V3), "c/1/2/3"),
        (
            parse_zarr3({**V3, "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}}}),
            "c.1.2.3",
        ),
        (parse_zarr3({**V3, "chunk_key_encoding": "v2"}), "1.2.3"),
        (parse_zarr3({**V3, "chunk_key_encoding": {"name": "v2", "configuration": {"separator": "/"}}}), "1/2/3"),
        (parse_n5(N5), "1/2/3"),
        (parse_zarr3(sharding()), "c/0/1/0"),
    ],
)
def test_names_of_chunks(array: ZarrArray, key: str) -> None:
    assert array.file_key((1, 2, 3)) == key


def test_shards() -> None:
    array = parse_zarr3(sharding(index_location="start"))
    assert array.chunk_shape == (4, 4, 2)
    assert array.shards is not None
    assert array.shards.grid == (2, 2, 4)
    assert array.shards.index_bytes == 16 * 16 + 4
    assert not array.shards.at_end
    assert array.place_in_shard((3, 2, 7)) == (1, 0, 3)
    plain = parse_zarr3(sharding(index_codecs=[LITTLE])).shards
    assert plain is not None
    assert plain.at_end
    assert plain.index_bytes == 16 * 16


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"zarr_format": 3}, "zarr_format"),
        ({"shape": [20, 30]}, "differ in their number of axes"),
        ({"shape": [20, 30, -1]}, "shape must be"),
        ({"chunks": [8, 8, 0]}, "chunks must be"),
        ({"chunks": [8, 8, 8.0]}, "chunks must be"),
        ({"dtype": [["a", "<u2"]]}, "dtype"),
        ({"dtype": "<c8"}, "dtype"),
        ({"dtype": "<f16"}, "dtype"),
        ({"dtype": "|S4"}, "dtype"),
        ({"dtype": "nonsense"}, "dtype"),
        ({"order": "K"}, "order"),
        ({"compressor": {"id": "szip"}}, "'szip'.*blosc"),
        ({"compressor": "zlib?"}, "zlib"),
        ({"filters": [{"id": "delta"}]}, "filters.*delta"),
        ({"dimension_separator": "-"}, "separator"),
        ({"fill_value": 65536}, "fill_value 65536"),
        ({"fill_value": "many"}, "fill_value"),
    ],
)
def test_zarr2_that_cannot_be_read(change: dict[str, Any], words: str) -> None:
    with pytest.raises(FormatError, match=words):
        parse_zarr2({**V2, **change}, {})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"node_type": "group"}, "not the metadata"),
        ({"data_type": "complex64"}, "complex64"),
        ({"data_type": {"name": "numpy.datetime64"}}, "data_type"),
        ({"chunk_grid": {"name": "rectilinear", "configuration": {}}}, "rectilinear"),
        ({"chunk_grid": None}, "chunk_grid"),
        ({"chunk_key_encoding": "suffix"}, "suffix"),
        ({"codecs": []}, "codecs"),
        ({"codecs": [LITTLE, {"name": "numcodecs.delta"}]}, "numcodecs.delta"),
        ({"storage_transformers": [{"name": "x"}]}, "storage_transformers"),
        ({"codecs": [*sharding()["codecs"], {"name": "gzip"}]}, "sharding together"),
        ({"codecs": sharding(chunk_shape=[4, 4, 3])["codecs"]}, "do not divide"),
        ({"codecs": sharding(chunk_shape=[4, 4])["codecs"]}, "do not divide"),
        ({"codecs": sharding(index_location="middle")["codecs"]}, "index_location"),
        ({"codecs": sharding(index_codecs=[LITTLE, {"name": "gzip"}])["codecs"]}, "index_codecs"),
        ({"codecs": sharding(codecs=sharding()["codecs"])["codecs"]}, "sharding_indexed"),
    ],
)
def test_zarr3_that_cannot_be_read(change: dict[str, Any], words: str) -> None:
    with pytest.raises(FormatError, match=words):
        parse_zarr3({**V3, **change})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dimensions": None}, "dimensions"),
        ({"blockSize": [8, 8]}, "differ"),
        ({"dataType": "string"}, "string"),
        ({"compression": {"type": "jpeg"}}, "jpeg"),
        ({"compression": 3}, "compression"),
    ],
)
def test_n5_that_cannot_be_read(change: dict[str, Any], words: str) -> None:
    with pytest.raises(FormatError, match=words):
        parse_n5({**N5, **change})


@pytest.mark.parametrize("document", [None, 3, [], "text"])
def test_what_is_no_metadata_at_all(document: object) -> None:
    for parse in (lambda d: parse_zarr2(d, {}), parse_zarr3, parse_n5):
        with pytest.raises(FormatError):
            parse(document)


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        ("uint64", 2**64 - 1, 2**64 - 1),
        ("uint64", str(2**64 - 1), 2**64 - 1),
        ("int64", -(2**63), -(2**63)),
        ("uint8", 7.0, 7),
        ("uint8", None, 0),
        ("bool", True, True),
        ("bool", None, False),
        ("float32", "Infinity", math.inf),
        ("float32", "-Infinity", -math.inf),
        ("float32", "0x7fc00000", math.nan),
        ("float64", "NaN", math.nan),
        ("float16", "0x3c00", 1.0),
        ("float64", 0.1, 0.1),
    ],
)
def test_fill_values(dtype: str, value: Any, expected: Any) -> None:
    kind = np.dtype(dtype)
    one_byte = {"name": "bytes"} if kind.itemsize == 1 else LITTLE
    fills = [
        parse_zarr3(json.loads(json.dumps({**V3, "data_type": dtype, "fill_value": value, "codecs": [one_byte]}))).fill,
        parse_zarr2({**V2, "dtype": kind.str, "fill_value": value}, {}).fill,
    ]
    for fill in fills:
        assert fill == expected or (math.isnan(fill) and math.isnan(expected))
        assert type(fill) is type(expected)


# ---- units and choices ------------------------------------------------------------------------------------------


def test_every_unit_of_length_that_ome_zarr_allows() -> None:
    listed = {
        "angstrom": 1e-10, "attometer": 1e-18, "centimeter": 1e-2, "decimeter": 1e-1, "exameter": 1e18,
        "femtometer": 1e-15, "foot": 0.3048, "gigameter": 1e9, "hectometer": 1e2, "inch": 0.0254, "kilometer": 1e3,
        "megameter": 1e6, "meter": 1, "micrometer": 1e-6, "mile": 1609.344, "millimeter": 1e-3, "nanometer": 1e-9,
        "parsec": 3.0856775814913673e16, "petameter": 1e15, "picometer": 1e-12, "terameter": 1e12, "yard": 0.9144,
        "yoctometer": 1e-24, "yottameter": 1e24, "zeptometer": 1e-21, "zettameter": 1e21,
    }  # fmt: skip
    for name, meters in listed.items():
        assert nm_per(name) == pytest.approx(meters * 1e9, rel=1e-12), name
    for name in ("um", "µm", "μm", "micron", "Micrometer"):
        assert nm_per(name) == 1000
    assert nm_per("mm") == 1e6
    assert nm_per("Mm") == 1e15
    for nothing in ("pixel", "second", "", None, 3, "Nm"):
        assert nm_per(nothing) is None


def test_lengths_with_numbers() -> None:
    assert read_quantity("4e-9 m") == 4
    assert read_quantity("5nm") == 5
    assert read_quantity(" 1.5 exameter") == 1.5e27
    for nothing in ("4", "0 nm", "-1 nm", "nan nm", "4 seconds", None, 4):
        assert read_quantity(nothing) is None


def test_choices() -> None:
    assert parse_choice("", "s") == Choice()
    assert parse_choice("#resolution=4,4,40", "s").resolution == (4, 4, 40)
    assert parse_choice("/a//b/#c=0&axes=c,z,y,x", "s") == Choice("a/b", (("c", 0),), None, ("c", "z", "y", "x"))
    for wrong in ("#resolution=4,4", "#resolution=4,4,-1", "#resolution=a,b,c", "#x=3", "#c=one", "#c=-1", "#axes=zzx",
                  "../else", "#c"):  # fmt: skip
        with pytest.raises(SourceError):
            parse_choice(wrong, "s")


# ---- scales -----------------------------------------------------------------------------------------------------


def zyx(*shape: int, names: tuple[str, ...] = ()) -> ZarrArray:
    return parse_zarr2({**V2, "shape": list(shape), "chunks": [8] * len(shape)}, {"_ARRAY_DIMENSIONS": list(names)})


def ome(*levels: tuple[list[float], list[float] | None], unit: str = "nanometer", **more: Any) -> dict[str, Any]:
    datasets = []
    for n, (scale, translation) in enumerate(levels):
        steps: list[Any] = [{"type": "scale", "scale": scale}]
        steps += [{"type": "translation", "translation": translation}] if translation is not None else []
        datasets.append({"path": str(n), "coordinateTransformations": steps})
    axes = [{"name": name, "type": "space", "unit": unit} for name in "zyx"]
    return {"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets, **more}]}


def boxes(attributes: dict[str, Any], *shapes: tuple[int, ...], inner: str = "") -> list[Box]:
    levels = [
        (level, level.path, zyx(*shape)) for level, shape in zip(parse_multiscales(attributes), shapes, strict=True)
    ]
    scales, _ = lay_out(levels, parse_choice(inner, "s"), "s")
    return [scale.bounds for scale in scales]


SHAPES = ((20, 300, 400), (20, 150, 200), (10, 75, 100))


@pytest.mark.parametrize("offset", [0.0, 17.0])
def test_both_habits_of_translation_mean_corners_that_coincide(offset: float) -> None:
    sizes = [(40.0, 4.0, 8.0), (40.0, 8.0, 16.0), (80.0, 16.0, 32.0)]
    first = [offset * 2 * s for s in sizes[2]]  # a whole voxel of each level
    centred = [(list(s), [f + (a - b) / 2 for f, a, b in zip(first, s, sizes[0], strict=True)]) for s in sizes]
    still = [(list(s), first) for s in sizes]
    found = boxes(ome(*centred), *SHAPES)
    assert found == boxes(ome(*still), *SHAPES)
    for box, size, shape in zip(found, sizes, SHAPES, strict=True):
        assert box.resolution == size[::-1]
        assert box.nm[0] == tuple(first[::-1])
        assert box.shape == shape[::-1]


def test_corners_that_are_stored_as_centres_of_half_voxels() -> None:
    # Who counts from the corner and keeps to the standard writes half a voxel for the first centre.
    found = boxes(ome(([40, 4, 4], [20, 2, 2]), ([40, 8, 8], [20, 4, 4])), *SHAPES[:2])
    assert [box.start for box in found] == [(0, 0, 0), (0, 0, 0)]
    found = boxes(ome(([40, 4, 4], [60, 42, 402]), ([40, 8, 8], [60, 44, 404])), *SHAPES[:2])
    assert [box.start for box in found] == [(100, 10, 1), (50, 5, 1)]


@given(
    size=st.tuples(*[st.floats(0.5, 100)] * 3),
    factors=st.lists(st.tuples(*[st.sampled_from([1, 2, 3, 4])] * 3), min_size=1, max_size=3),
    moves=st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 3), min_size=4, max_size=4),
)
def test_any_translation_is_neuroglancers_to_within_a_voxel(
    size: tuple[float, ...], factors: list[tuple[int, ...]], moves: list[tuple[float, ...]]
) -> None:
    sizes = [size, *([s * f for s, f in zip(size, factor, strict=True)] for factor in factors)]
    levels = [(list(s), list(t)) for s, t in zip(sizes, moves, strict=False)]
    found = boxes(ome(*levels), *[(20, 30, 40)] * len(levels))
    for n, (box, (scale, move)) in enumerate(zip(found, levels, strict=True)):
        for axis, (r, t) in enumerate(zip(scale[::-1], move[::-1], strict=True)):
            corner = t - r / 2  # as src/datasource/zarr/ome.ts has it
            base = size[::-1][axis]
            # its own rounding, the rounding of the finest level, and what the two habits of translation differ by
            slack = r / 2 + (base / 2 if n else 0) + abs(r - base) / 2 + 1e-3 * r
            assert abs(box.start[axis] * box.resolution[axis] - corner) <= slack
            if n == 0:
                assert abs(box.start[axis] - corner / r) <= 0.5 + 1e-5


def test_transformations_of_a_level_come_before_those_of_the_image() -> None:
    shared = [{"type": "scale", "scale": [2, 1, 1]}, {"type": "translation", "translation": [160, 0, 8]}]
    (box,) = boxes(ome(([20, 4, 4], [40, 0, 0]), coordinateTransformations=shared), SHAPES[0])
    assert box.resolution == (4, 4, 40)
    assert box.start == (2, 0, 6)


def test_axes_by_name_whatever_their_order_and_units() -> None:
    axes = [{"name": "X", "type": "space", "unit": "angstrom"}, {"name": "z", "type": "space", "unit": "micrometer"},
            {"name": "y", "type": "space", "unit": "nanometer"}]  # fmt: skip
    steps = [{"type": "scale", "scale": [82.4, 0.0303, 8]}]
    document = {"multiscales": [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}]}
    (level,) = parse_multiscales(document)
    (scale,), (grid,) = lay_out([(level, "0", zyx(5, 6, 7))], Choice(), "s")
    assert scale.resolution == (8.24, 8.0, 30.3)
    assert scale.bounds.shape == (5, 7, 6)
    assert grid.channels == 1


def test_older_versions_of_ome_zarr() -> None:
    old = {"multiscales": [{"version": "0.1", "datasets": [{"path": "0"}, {"path": "1"}]}]}
    levels = [
        (level, level.path, zyx(1, 3, *shape)) for level, shape in zip(parse_multiscales(old), SHAPES, strict=False)
    ]
    with pytest.raises(ScaleError, match="#resolution=4,4,40"):
        lay_out(levels, Choice(), "s")
    scales, grids = lay_out(levels, parse_choice("#resolution=4,4,40", "s"), "s")
    assert [scale.resolution for scale in scales] == [(4, 4, 40), (8, 8, 40)]
    assert grids[0].channels == 3
    named = {"multiscales": [{"version": "0.3", "axes": ["y", "z", "x"], "datasets": [{"path": "0"}]}]}
    (level,) = parse_multiscales(named)
    assert level.axes is not None
    assert [axis.name for axis in level.axes] == ["y", "z", "x"]


def test_a_resolution_that_is_given_goes_before_that_of_the_metadata() -> None:
    for unit in ("nanometer", "pixel", ""):
        found = boxes(ome(([1, 1, 1], [0, 0, 10]), ([1, 2, 2], [0, 0.5, 10.5]), unit=unit), *SHAPES[:2],
                      inner="#resolution=4,5,40")  # fmt: skip
        assert [box.resolution for box in found] == [(4, 5, 40), (8, 10, 40)]
        assert [box.start for box in found] == [(10, 0, 0), (5, 0, 0)]
    with pytest.raises(ScaleError, match="along x, y, z"):
        boxes(ome(([1, 1, 1], None), unit="pixel"), SHAPES[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"datasets": []}, "no datasets"),
        ({"datasets": [{}]}, "without a path"),
        ({"datasets": [{"path": "0", "coordinateTransformations": [{"type": "rotation"}]}]}, "rotation"),
        ({"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}]}, "a scale"),
        (
            {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 0, 1]}]}]},
            "a scale",
        ),
        ({"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "path": "s"}]}]}, "a scale"),
        ({"axes": [{"type": "space"}]}, "no name"),
        ({"axes": "zyx"}, "axes"),
        ({"axes": ["x", "x", "y"]}, "one name"),
    ],
)
def test_multiscales_that_cannot_be_read(change: dict[str, Any], words: str) -> None:
    document = ome(([1, 1, 1], None))
    document["multiscales"][0].update(change)
    with pytest.raises(FormatError, match=words):
        parse_multiscales(document)


def test_channels_and_time() -> None:
    names = ("t", "c", "z", "y", "x")
    axes = tuple(Axis(name, nm=1.0) for name in names)
    level = Level("0", axes, dict.fromkeys(names, 1.0))
    array = zyx(4, 3, 20, 30, 40)
    (scale,), (grid,) = lay_out([(level, "0", array)], Choice(), "s")
    assert grid.channels == 3
    (chunk,) = grid.stored(scale, Box((0, 0, 0), (1, 1, 1), scale.resolution))
    assert chunk.index == (0, 0, 0, 0, 0)
    _, (grid,) = lay_out([(level, "0", array)], parse_choice("#c=2&t=3", "s"), "s")
    assert grid.channels == 1
    assert grid.picks[:2] == (3, 2)
    for wrong, words in (("#c=3", "beyond the 3"), ("#t=4", "beyond the 4"), ("#q=0", "no axis 'q'.*t, c")):
        with pytest.raises(SourceError, match=words):
            lay_out([(level, "0", array)], parse_choice(wrong, "s"), "s")


def test_axes_of_no_known_kind_must_be_chosen() -> None:
    names = ("phase", "z", "y", "x")
    level = Level("0", tuple(Axis(name, nm=1.0) for name in names), dict.fromkeys(names, 1.0))
    with pytest.raises(SourceError, match=r"'phase'.*#phase=0"):
        lay_out([(level, "0", zyx(4, 20, 30, 40))], Choice(), "s")
    lay_out([(level, "0", zyx(1, 20, 30, 40))], Choice(), "s")
    _, (grid,) = lay_out([(level, "0", zyx(4, 20, 30, 40))], parse_choice("#phase=2", "s"), "s")
    assert grid.picks[0] == 2


def test_arrays_that_do_not_say_enough() -> None:
    with pytest.raises(SourceError, match="#resolution=4,4,40&axes=zyx"):
        lay_out([(Level("a"), "a", zyx(5, 6, 7))], parse_choice("#resolution=4,4,40", "s"), "s")
    with pytest.raises(ScaleError, match="ArraySource"):
        lay_out([(Level("a"), "a", zyx(5, 6, 7))], parse_choice("#axes=zyx", "s"), "s")
    level = Level("a", (Axis("y", nm=1.0), Axis("x", nm=1.0)), {"y": 4.0, "x": 4.0})
    with pytest.raises(ScaleError, match="along z"):  # a picture has no depth
        lay_out([(level, "a", zyx(5, 6))], Choice(), "s")
    (scale,), _ = lay_out([(level, "a", zyx(5, 6))], parse_choice("#resolution=4,4,40", "s"), "s")
    assert scale.bounds.shape == (6, 5, 1)
    for inner, words in (("#axes=zy&resolution=1,1,1", "3 axes"), ("#axes=zqr&resolution=1,1,1", "x and y are needed")):
        with pytest.raises(FormatError, match=words):
            lay_out([(Level("a"), "a", zyx(5, 6, 7))], parse_choice(inner, "s"), "s")
    with pytest.raises(FormatError, match="empty"):
        lay_out([(Level("a"), "a", zyx(5, 0, 7))], parse_choice("#axes=zyx&resolution=1,1,1", "s"), "s")


def test_where_to_look_in_groups_without_an_image() -> None:
    plate = {"plate": {"wells": [{"path": f"{row}/{n}"} for row in "AB" for n in range(1, 9)]}}
    assert "WELL/FIELD such as A/1/0" in whereabouts(plate)
    assert "and 4 more" in whereabouts(plate)
    assert "A/1/0" in whereabouts({"ome": {"version": "0.5", **plate}})
    assert "fields: 0, 1" in whereabouts({"well": {"images": [{"path": "0"}, {"path": "1"}]}})
    assert "cells, nuclei" in whereabouts({"ome": {"labels": ["cells", "nuclei"]}})
    assert whereabouts({"something": "else"}) == ""


# ---- N5 ---------------------------------------------------------------------------------------------------------


def test_n5_viewers_attributes() -> None:
    factors = {"downsamplingFactors": [[1, 1, 1], [2, 2, 1]]}
    for attributes in (
        {"resolution": [4, 4, 40], **factors},
        {
            "pixelResolution": {"dimensions": [0.004, 0.004, 0.04], "unit": "um"},
            "scales": factors["downsamplingFactors"],
        },
        {"resolution": [4, 0.004, 40], "units": ["nm", "µm", "nm"], **factors},
        {"pixelResolution": [4, 4, 40], **factors},
    ):
        levels = [(level, level.path, parse_n5(N5)) for level in group_levels(attributes)]
        scales, _ = lay_out(levels, Choice(), "s")
        assert [(scale.key, scale.resolution) for scale in scales] == [("s0", (4, 4, 40)), ("s1", (8, 8, 40))]
        assert scales[1].bounds.start == (0, 0, 0)
        assert scales[1].bounds.shape == (40, 30, 20)


def test_cosems_attributes() -> None:
    def transform(*scale: float, move: float = 0) -> dict[str, Any]:
        move_z = move * scale[0] / scale[1]
        return {"axes": ["z", "y", "x"], "scale": list(scale), "translate": [move_z, move, move], "units": ["nm"] * 3}

    datasets = [
        {"path": "s0", "transform": transform(5.24, 4, 4)},
        {"path": "s1", "transform": transform(10.48, 8, 8, move=2)},
    ]
    group = {
        "axes": ["x", "y", "z"],
        "multiscales": [{"datasets": datasets, "name": ""}],
        "units": ["nm"] * 3,
        "pixelResolution": {"dimensions": [4, 4, 5.24], "unit": "nm"},
        "scales": [[1, 1, 1], [2, 2, 2]],
    }
    levels = [(level, level.path, parse_n5(N5)) for level in group_levels(group)]
    scales, _ = lay_out(levels, Choice(), "s")
    assert [scale.resolution for scale in scales] == [(4, 4, 5.24), (8, 8, 10.48)]
    assert [scale.bounds.start for scale in scales] == [(0, 0, 0), (0, 0, 0)]
    assert scales[0].bounds.shape == (40, 30, 20)  # x first, as N5 has it
    one = array_level("s1", {**N5, "transform": transform(10.48, 8, 8, move=2)})
    assert one.spacing == {"z": 10.48, "y": 8, "x": 8}


def test_one_dataset_of_a_pyramid() -> None:
    one = array_level("s2", {**N5, "resolution": [4, 4, 40], "downsamplingFactors": [4, 4, 1]})
    assert one.spacing == {"x": 16, "y": 16, "z": 40}
    assert array_level("s2", N5).spacing == {}
    deep = {**N5, "dimensions": [4, 5, 6, 2], "resolution": [4, 4, 40], "downsamplingFactors": [4, 4, 1, 1]}
    assert array_level("s2", deep).spacing == {"x": 16, "y": 16, "z": 40}
    for wrong in ({"resolution": [4, 4, 40, 1]}, {"resolution": "4 nm"}, {"downsamplingFactors": [0, 1, 1]}):
        with pytest.raises(FormatError):
            array_level("s2", {**N5, **wrong})


# ---- anything at all --------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["x", "nm"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "id", "scale"]), inner, max_size=2)
    ),
    max_leaves=6,
)
GROUP = {"resolution": [4, 4, 40], "downsamplingFactors": [[1, 1, 1], [2, 2, 1]], "units": ["nm"] * 3,
         "axes": ["x", "y", "z"], "pixelResolution": {"dimensions": [4, 4, 40], "unit": "nm"}}  # fmt: skip
COSEM = {"multiscales": [{"datasets": [{"path": "s0", "transform": {
    "axes": ["z", "y", "x"], "scale": [5.24, 4, 4], "translate": [0, 0, 0], "units": ["nm"] * 3}}]}]}  # fmt: skip
DOCUMENTS: list[tuple[Any, Any]] = [
    (lambda d: parse_zarr2(d, {"_ARRAY_DIMENSIONS": d.get("shape")}), V2),
    (
        parse_zarr3,
        {**V3, "dimension_names": ["z", "y", "x"], "attributes": {"dimension_units": ["40 nm", None, "4 nm"]}},
    ),
    (parse_zarr3, sharding(index_location="start")),
    (parse_n5, {**N5, "axes": ["x", "y", "z"]}),
    (parse_multiscales, ome(([40, 4, 4], [0, 0, 0]), ([40, 8, 8], [0, 2, 2]))),
    (parse_multiscales, {"ome": ome(([40, 4, 4], None))}),
    (parse_multiscales, COSEM),
    (group_levels, GROUP),
    (lambda d: array_level("s0", d), {**N5, **GROUP, "downsamplingFactors": [2, 2, 1]}),
    (whereabouts, {"plate": {"wells": [{"path": "A/1"}]}, "well": {"images": [{"path": "0"}]}, "labels": ["a"]}),
]


def places_in(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path] * bool(path) + [place for key, value in pairs for place in places_in(value, (*path, key))]


@given(data=st.data(), which=st.integers(0, len(DOCUMENTS) - 1))
def test_metadata_with_anything_in_them_are_read_or_refused(data: st.DataObject, which: int) -> None:
    parse, document = DOCUMENTS[which]
    document = json.loads(json.dumps(document))
    parse(document)
    *above, key = data.draw(st.sampled_from(places_in(document)))
    part = document
    for step in above:
        part = part[step]
    if data.draw(st.booleans()):
        part[key] = data.draw(JSON)
    else:
        del part[key]
    try:
        found = parse(document)
        if isinstance(found, list) and found:  # the levels of an image
            lay_out([(level, level.path, zyx(5, 6, 7)) for level in found], Choice(), "s")
    except (FormatError, ScaleError, SourceError) as error:
        assert str(error)  # noqa: PT017
