"""Single labels of a chunk, against the whole chunk decoded."""

from __future__ import annotations

from typing import Any

import compressed_segmentation
import numpy as np
import pytest

from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import DamagedDataError, FormatError
from imageryclient.geometry import Box
from imageryclient.precomputed.chunks import Chunk
from imageryclient.precomputed.labels import EncodedLabels
from imageryclient.precomputed.scattered import labels_at
from imageryclient.scales import Info, Scale

AT = (8.0, 8.0, 40.0)


def blocky(shape: tuple[int, int, int], dtype: str, kinds: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, np.iinfo(dtype).max, kinds, dtype=dtype, endpoint=True)
    small = ids[rng.integers(0, kinds, [-(-s // 3) for s in shape])]
    labels = small.repeat(3, 0).repeat(3, 1).repeat(3, 2)[: shape[0], : shape[1], : shape[2]]
    labels[:9, :9, :9] = rng.integers(0, 500, labels[:9, :9, :9].shape)  # more labels than 8 bits tell
    labels[-9:, -9:, -9:] = ids[0]  # a block of one label takes no bits
    return np.asfortranarray(labels)


def place(shape: tuple[int, int, int], dtype: str, encoding: str, block: Any = None) -> tuple[Chunk, Scale, Info]:
    box = Box((5, -3, 7), (5 + shape[0], shape[1] - 3, 7 + shape[2]), AT)
    scale = Scale(0, "key", AT, box, shape, encoding, block, None)
    return Chunk((0, 0, 0), box), scale, Info("segmentation", np.dtype(dtype), 1, (scale,))


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
@pytest.mark.parametrize("block", [(8, 8, 8), (4, 8, 2), (16, 16, 16)])
@pytest.mark.parametrize("kinds", [2, 9, 2000])
def test_every_voxel_of_compressed_segmentation(dtype: str, block: Any, kinds: int) -> None:
    shape = (29, 35, 18)
    labels = blocky(shape, dtype, kinds, 3)
    data = bytes(compressed_segmentation.compress(labels, block_size=block, order="F"))
    chunk, scale, info = place(shape, dtype, "compressed_segmentation", block)
    voxels = np.argwhere(np.ones(shape, bool))
    np.random.default_rng(0).shuffle(voxels)
    got = labels_at(data, voxels + chunk.box.start, scale, info, chunk)
    assert got.dtype == np.uint64
    assert np.array_equal(got, labels[tuple(voxels.T)])


def test_damaged_offsets_are_found_or_harm_nobody() -> None:
    shape = (16, 24, 16)
    labels = blocky(shape, "uint64", 40, 5)
    data = np.frombuffer(bytes(compressed_segmentation.compress(labels, block_size=(8, 8, 8), order="F")), "<u4")
    chunk, scale, info = place(shape, "uint64", "compressed_segmentation", (8, 8, 8))
    voxels = np.argwhere(np.ones(shape, bool)) + chunk.box.start
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(200):
        broken = data.copy()
        broken[rng.integers(1, 50)] ^= np.uint32(1) << np.uint32(rng.integers(32))
        try:
            got = labels_at(broken.tobytes(), voxels, scale, info, chunk)
        except DamagedDataError:
            refused += 1
            continue
        whole = EncodedLabels.parse(broken.tobytes(), chunk, scale, info).decode(chunk.box)
        assert np.array_equal(got, whole[tuple((voxels - chunk.box.start).T)])
    assert refused > 50
    with pytest.raises(DamagedDataError):
        labels_at(data.tobytes()[:-40], voxels, scale, info, chunk)


@pytest.mark.parametrize(
    ("dtype", "encoding"), [("uint64", "raw"), ("uint16", "raw"), ("uint8", "png"), ("uint16", "png"), ("int32", "raw")]
)
def test_other_encodings(tmp_path: Any, dtype: str, encoding: str) -> None:
    labels = np.random.default_rng(2).integers(0, 200, (20, 17, 9), dtype=np.int64).astype(dtype)
    layout = Layout(resolution=AT, voxel_offset=(5, -3, 7), chunk_size=(20, 17, 9), encoding=encoding)
    folder = write_precomputed(tmp_path, [(labels, layout)], kind="segmentation")
    (file,) = (folder / "8_8_40").iterdir()
    chunk, scale, info = place((20, 17, 9), dtype, encoding)
    voxels = np.random.default_rng(3).integers(0, labels.shape, (50, 3))
    got = labels_at(file.read_bytes(), voxels + chunk.box.start, scale, info, chunk)
    assert np.array_equal(got, labels[tuple(voxels.T)])


def test_voxels_that_are_no_labels_are_refused() -> None:
    chunk, scale, _ = place((2, 2, 2), "uint8", "raw")
    with pytest.raises(FormatError, match="one whole number"):
        labels_at(bytes(32), np.array([[5, -3, 7]]), scale, Info("image", np.dtype("float32"), 1, (scale,)), chunk)
    with pytest.raises(FormatError, match="one whole number"):
        labels_at(bytes(24), np.array([[5, -3, 7]]), scale, Info("image", np.dtype("uint8"), 3, (scale,)), chunk)
