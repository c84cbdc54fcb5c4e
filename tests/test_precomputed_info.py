from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import numpy as np
import pytest

from imageryclient.errors import FormatError
from imageryclient.geometry import Box
from imageryclient.precomputed.info import parse_info, parse_sharding
from imageryclient.scales import Scale, Sharding

SHARDING = {
    "@type": "neuroglancer_uint64_sharded_v1",
    "preshift_bits": 9,
    "hash": "murmurhash3_x86_128",
    "minishard_bits": 6,
    "shard_bits": 15,
    "minishard_index_encoding": "gzip",
    "data_encoding": "gzip",
}
DOCUMENT: dict[str, Any] = {
    "@type": "neuroglancer_multiscale_volume",
    "type": "segmentation",
    "data_type": "uint64",
    "num_channels": 1,
    "mesh": "mesh",
    "scales": [
        {
            "key": "8_8_40",
            "size": [1000, 900, 70],
            "voxel_offset": [-16, 0, 5],
            "resolution": [8, 8, 40],
            "chunk_sizes": [[256, 256, 32], [64, 64, 64]],
            "encoding": "compressed_segmentation",
            "compressed_segmentation_block_size": [8, 8, 8],
            "sharding": SHARDING,
        },
        {
            "key": "placeholder",
            "size": [500, 450, 70],
            "resolution": [16.5, 16, 40],
            "chunk_sizes": [[256, 256, 32]],
            "encoding": "crackle",
        },
    ],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    *way, last = [int(p) if p.isdigit() else p for p in path.split("/")]
    target: Any = document
    for step in way:
        target = target[step]
    if value is KeyError:
        del target[last]
    else:
        target[last] = value
    return document


def test_reads_all() -> None:
    info = parse_info(json.loads(json.dumps(DOCUMENT)), "gs://bucket/seg")
    assert (info.kind, info.dtype, info.channels) == ("segmentation", np.dtype("uint64"), 1)
    first, second = info.scales
    assert first == Scale(
        mip=0,
        key="8_8_40",
        resolution=(8.0, 8.0, 40.0),
        bounds=Box((-16, 0, 5), (984, 900, 75), (8.0, 8.0, 40.0)),
        chunk_size=(256, 256, 32),
        encoding="compressed_segmentation",
        block_size=(8, 8, 8),
        sharding=Sharding(9, "murmurhash3_x86_128", 6, 15, "gzip", "gzip"),
    )
    assert not first.placeholder
    assert first.grid_shape == (4, 4, 3)
    assert second.placeholder
    assert (second.mip, second.bounds.start, second.resolution) == (1, (0, 0, 0), (16.5, 16.0, 40.0))
    assert (second.encoding, second.block_size, second.sharding) == ("crackle", None, None)


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "UINT8"]
)
def test_dtypes(dtype: str) -> None:
    assert parse_info(changed("data_type", dtype), "here").dtype == np.dtype(dtype.lower())


def test_whole_floats_and_nulls_are_fine() -> None:
    document = changed("scales/0/voxel_offset", [1.0, 2.0, -3.0])
    assert parse_info(document, "here").scales[0].bounds.start == (1, 2, -3)
    assert parse_info(changed("scales/0/voxel_offset", None), "here").scales[0].bounds.start == (0, 0, 0)
    assert parse_info(changed("scales/0/sharding", None), "here").scales[0].sharding is None
    assert parse_info(changed("@type", KeyError), "here").channels == 1


REQUIRED = [
    "type",
    "data_type",
    "num_channels",
    "scales",
    "scales/1/key",
    "scales/1/size",
    "scales/1/resolution",
    "scales/1/chunk_sizes",
    "scales/1/encoding",
    "scales/0/compressed_segmentation_block_size",
    "scales/0/sharding/@type",
    "scales/0/sharding/preshift_bits",
    "scales/0/sharding/hash",
    "scales/0/sharding/minishard_bits",
    "scales/0/sharding/shard_bits",
]
FOREIGN = {
    "@type": ["neuroglancer_skeletons", 3],
    "type": ["mesh", 1],
    "data_type": ["float64", "complex", None, 8],
    "num_channels": [0, -1, 1.5, "1", True],
    "scales": [[], {}, "scales", [1]],
    "scales/1/key": [7],
    "scales/1/size": [[1, 2], [1, 2, -3], [1, 2, "3"], 5, [1.5, 2, 3]],
    "scales/0/voxel_offset": [[1, 2], [0.5, 0, 0], "0"],
    "scales/1/resolution": [[4, 4], [4, 4, 0], "4", [4, 4, float("nan")]],
    "scales/1/chunk_sizes": [[], [64, 64, 64], [[64, 64, 0]], 64],
    "scales/1/encoding": [1],
    "scales/0/compressed_segmentation_block_size": [[8, 8], [8, 8, 0], "8"],
    "scales/0/sharding": ["sharded", 1],
    "scales/0/sharding/@type": ["neuroglancer_uint64_sharded_v2"],
    "scales/0/sharding/hash": ["md5"],
    "scales/0/sharding/shard_bits": [-1, 59, 1.5],
    "scales/0/sharding/data_encoding": ["zstd"],
    "scales/0/sharding/minishard_index_encoding": ["br"],
}


def shown(path: str) -> str:
    text = ""
    for step in path.split("/"):
        text += f"[{step}]" if step.isdigit() else f".{step}"
    return text.lstrip(".")


@pytest.mark.parametrize("path", REQUIRED)
def test_missing_fields_are_named(path: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_info(changed(path, KeyError), "gs://bucket/seg")
    assert "gs://bucket/seg" in str(caught.value)
    assert shown(path) in str(caught.value)


@pytest.mark.parametrize(("path", "value"), [(p, v) for p, vs in FOREIGN.items() for v in vs])
def test_foreign_fields_are_named(path: str, value: Any) -> None:
    with pytest.raises(FormatError) as caught:
        parse_info(changed(path, value), "gs://bucket/seg")
    assert "gs://bucket/seg" in str(caught.value)
    assert shown(path) in str(caught.value)


@pytest.mark.parametrize("document", [None, [], "info", 3, {}])
def test_other_documents(document: object) -> None:
    with pytest.raises(FormatError, match="here"):
        parse_info(document, "here")


def test_sharding_defaults() -> None:
    for given in itertools.product([True, False], repeat=2):
        names = ("minishard_index_encoding", "data_encoding")
        document = {k: v for k, v in SHARDING.items() if k not in names or given[names.index(k)]}
        sharding = parse_sharding(document)
        assert (sharding.minishard_index_encoding, sharding.data_encoding) == tuple(
            "gzip" if g else "raw" for g in given
        )


@pytest.mark.parametrize(
    ("declared", "what"),
    [
        ("neuroglancer_annotations_v1", "annotations"),
        ("neuroglancer_legacy_mesh", "meshes"),
        ("neuroglancer_multilod_draco", "meshes"),
        ("neuroglancer_skeletons", "skeletons"),
        ("neuroglancer_segment_properties", "properties of segments"),
    ],
)
def test_what_else_has_an_info_document_is_named(declared: str, what: str) -> None:
    with pytest.raises(FormatError, match=f"it holds {what} and no voxels; name the volume they belong to"):
        parse_info({"@type": declared}, "here")


def scaled(offset: list[int], size: list[int]) -> dict[str, Any]:
    scale = {"chunk_sizes": [[64, 64, 8]], "encoding": "raw"}
    return {
        "type": "image",
        "data_type": "uint8",
        "num_channels": 1,
        "scales": [
            {**scale, "key": "placeholder", "resolution": [4, 4, 40], "size": [1, 1, 1], "voxel_offset": [0, 0, 0]},
            {**scale, "key": "a", "resolution": [8, 8, 40], "size": [100, 100, 10], "voxel_offset": [1000, 1000, 50]},
            {**scale, "key": "b", "resolution": [16, 16, 40], "size": size, "voxel_offset": offset},
        ],
    }


@pytest.mark.parametrize("offset", [[500, 500, 50], [551, 500, 50], [500, 449, 50], [500, 500, 61]])
def test_scales_that_overlap_or_nearly_do_are_fine(offset: list[int]) -> None:
    assert len(parse_info(scaled(offset, [50, 50, 10]), "here").scales) == 3


@pytest.mark.parametrize(
    ("offset", "axis"), [([1000, 1000, 50], "x"), ([552, 500, 50], "x"), ([500, 448, 50], "y"), ([500, 500, 0], "z")]
)
def test_scales_that_lie_apart_are_refused(offset: list[int], axis: str) -> None:
    with pytest.raises(FormatError, match=rf"here: .*scales\[2\] lies from .* along {axis}.*apart from scales\[1\]"):
        parse_info(scaled(offset, [50, 50, 10]), "here")


def test_an_empty_scale_lies_nowhere() -> None:
    assert len(parse_info(scaled([0, 0, 0], [0, 50, 10]), "here").scales) == 3
