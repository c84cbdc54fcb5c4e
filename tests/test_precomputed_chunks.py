from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageryclient.geometry import Box, IntTriple
from imageryclient.precomputed.chunks import Chunk, chunk_id, chunk_key, chunks_covering
from imageryclient.scales import Scale

AT = (8.0, 8.0, 40.0)


def make_scale(start: IntTriple, size: IntTriple, chunk: IntTriple, key: str = "8_8_40") -> Scale:
    stop = (start[0] + size[0], start[1] + size[1], start[2] + size[2])
    return Scale(0, key, AT, Box(start, stop, AT), chunk, "raw", None, None)


def triples(low: int, high: int) -> st.SearchStrategy[IntTriple]:
    number = st.integers(low, high)
    return st.tuples(number, number, number)


@settings(max_examples=150)
@given(triples(-9, 9), triples(1, 13), triples(1, 6), triples(-12, 20), triples(0, 14))
def test_covering_against_every_voxel(
    start: IntTriple, size: IntTriple, chunk: IntTriple, low: IntTriple, extent: IntTriple
) -> None:
    scale = make_scale(start, size, chunk)
    box = Box(low, (low[0] + extent[0], low[1] + extent[1], low[2] + extent[2]), AT)
    wanted: dict[IntTriple, set[IntTriple]] = {}
    spans = [range(a, b) for a, b in zip(box.start, box.stop, strict=True)]
    for voxel in itertools.product(*spans):
        if all(a <= v < b for v, a, b in zip(voxel, scale.bounds.start, scale.bounds.stop, strict=True)):
            index = tuple((v - a) // c for v, a, c in zip(voxel, start, chunk, strict=True))
            wanted.setdefault(index, set()).add(voxel)  # type: ignore[arg-type]
    found = chunks_covering(scale, box)
    assert [c.index for c in found] == sorted(wanted, key=lambda i: i[::-1])
    covered = np.zeros(scale.bounds.shape, dtype=int)
    for c in found:
        assert c.box.intersect(scale.bounds) == c.box
        assert all(0 <= i < n for i, n in zip(c.index, scale.grid_shape, strict=True))
        covered[c.box.slices(scale.bounds)] += 1
    assert covered.max(initial=0) <= 1
    assert all(covered[tuple(np.subtract(v, start))] for voxels in wanted.values() for v in voxels)


def test_all_chunks_fill_the_scale_once() -> None:
    scale = make_scale((-5, 3, 0), (20, 11, 7), (8, 4, 3))
    chunks = chunks_covering(scale, scale.bounds)
    assert len(chunks) == np.prod(scale.grid_shape) == len({chunk_key(scale, c) for c in chunks})
    assert sum(c.box.voxels for c in chunks) == scale.bounds.voxels
    assert chunks_covering(scale, Box((100, 0, 0), (110, 5, 5), AT)) == []


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("8_8_40", "8_8_40/-5-3_0-4_6-7"),
        ("em/8nm", "em/8nm/-5-3_0-4_6-7"),
        ("../other/8_8_40", "../other/8_8_40/-5-3_0-4_6-7"),
        ("./a/../b/", "b/-5-3_0-4_6-7"),
        ("a/../../b", "../b/-5-3_0-4_6-7"),
        ("", "-5-3_0-4_6-7"),
    ],
)
def test_keys(key: str, wanted: str) -> None:
    scale = make_scale((-5, 0, 6), (20, 11, 7), (8, 4, 3), key)
    assert chunk_key(scale, Chunk((0, 0, 0), Box((-5, 0, 6), (3, 4, 7), AT))) == wanted


@given(triples(1, 9))
def test_ids_are_a_compressed_morton_code(grid: IntTriple) -> None:
    # Independent: put all bits in a row, drop those no index of the grid can set, keep the order of the rest.
    indices = list(itertools.product(*map(range, grid)))
    plain = {i: sum((i[a] >> b & 1) << (3 * b + a) for b in range(4) for a in range(3)) for i in indices}
    widths = [(n - 1).bit_length() for n in grid]
    kept = [3 * b + a for b in range(4) for a in range(3) if b < widths[a]]
    for index in indices:
        assert chunk_id(index, grid) == sum((plain[index] >> k & 1) << n for n, k in enumerate(kept))
    assert len({chunk_id(i, grid) for i in indices}) == len(indices)


def test_ids_of_large_grids() -> None:
    grid = (2**22, 2**21, 2**21)
    last = (2**22 - 1, 2**21 - 1, 2**21 - 1)
    assert chunk_id(last, grid) == 2**64 - 1
    assert chunk_id((2**21, 0, 0), grid) == 2**63
    assert chunk_id((0, 0, 0), (1, 1, 1)) == 0
