from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageryclient.cave.node_ids import NodeLayout
from imageryclient.errors import ArgumentError, FormatError
from imageryclient.ids import as_ids

# Layout of minnie65_phase3: roots are near 8.6e17.
MINNIE = {
    "chunk_size": [256, 256, 512],
    "n_layers": 12,
    "n_bits_for_layer_id": 8,
    "cv_mip": 0,
    "bounding_box": [2048, 2048, 512],
    "spatial_bit_masks": {
        str(layer): bits for layer, bits in enumerate([10, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1], start=1)
    },
}


@st.composite
def layouts(draw: st.DrawFn) -> NodeLayout:
    n_layers = draw(st.integers(2, 12))
    bits = draw(st.lists(st.integers(1, 14), min_size=n_layers, max_size=n_layers))
    return NodeLayout((64, 64, 32), n_layers, draw(st.integers(4, 12)), tuple(bits))


def compose_one(layout: NodeLayout, layer: int, xyz: tuple[int, int, int], segment: int) -> int:
    bits = layout.spatial_bits[layer - 1]
    text = f"{layer:0{layout.layer_bits}b}" + "".join(f"{c:0{bits}b}" for c in xyz)
    return int(text + f"{segment:0{64 - len(text)}b}", 2)


@given(st.data())
def test_ids_are_their_bits_written_down(data: st.DataObject) -> None:
    layout = data.draw(layouts())
    count = data.draw(st.integers(1, 8))
    layers, chunks, segments, expected = [], [], [], []
    for _ in range(count):
        layer = data.draw(st.integers(1, layout.n_layers))
        bits = layout.spatial_bits[layer - 1]
        xyz = tuple(data.draw(st.integers(0, 2**bits - 1)) for _ in range(3))
        segment = data.draw(st.integers(0, 2 ** (64 - layout.layer_bits - 3 * bits) - 1))
        layers.append(layer)
        chunks.append(xyz)
        segments.append(segment)
        expected.append(compose_one(layout, layer, xyz, segment))
    ids = layout.compose(np.array(layers), chunks, np.array(segments, np.uint64))
    assert ids.dtype == np.uint64
    assert ids.tolist() == expected
    assert layout.layer_of(ids).tolist() == layers
    assert layout.chunk_of(ids).tolist() == [list(c) for c in chunks]
    assert layout.segment_of(ids).tolist() == segments


@given(layouts())
def test_info_round_trip(layout: NodeLayout) -> None:
    assert NodeLayout.from_info(layout.to_info()) == layout


def test_a_real_root() -> None:
    layout = NodeLayout.from_info(MINNIE)
    root = 864691135012345678
    assert layout.layer_of(root) == 12
    assert layout.chunk_of(root).tolist() == [0, 0, 0]
    assert layout.compose(12, layout.chunk_of(root), layout.segment_of(root)).tolist() == [root]


def test_shapes_and_zero() -> None:
    layout = NodeLayout.from_info(MINNIE)
    ids = np.zeros((2, 3), np.uint64)
    assert layout.layer_of(ids).shape == (2, 3)
    assert layout.chunk_of(ids).shape == (2, 3, 3)
    assert not layout.chunk_of(ids).any()
    assert layout.layer_of([]).shape == (0,)
    assert layout.chunk_of(np.empty(0, np.uint64)).shape == (0, 3)


def test_ids_never_pass_a_float() -> None:
    exact = 2**63 + 1
    assert as_ids([exact, 1]).tolist() == [exact, 1]
    assert as_ids([str(exact), np.int64(7)]).tolist() == [exact, 7]
    for wrong in ([1.0], [-1], [2**64], ["x"], [True], [None], -5):
        with pytest.raises(ArgumentError, match="whole number"):
            as_ids(wrong)


def test_what_does_not_fit() -> None:
    layout = NodeLayout((64, 64, 64), 3, 8, (8, 8, 1))
    with pytest.raises(ArgumentError, match="layers 1 to 3"):
        layout.compose(4, (0, 0, 0), 1)
    with pytest.raises(ArgumentError, match="chunk does not fit"):
        layout.compose(1, (256, 0, 0), 1)
    with pytest.raises(ArgumentError, match="segment number"):
        layout.compose(1, (0, 0, 0), 2**32)
    with pytest.raises(ArgumentError, match="of layer 9"):
        layout.chunk_of(np.uint64(9) << np.uint64(56))


@pytest.mark.parametrize(
    "change",
    [
        {"n_layers": "many"},
        {"spatial_bit_masks": {"1": 10}},
        {"spatial_bit_masks": None},
        {"chunk_size": [1, 2]},
        {"spatial_bit_masks": {str(layer): 30 for layer in range(1, 13)}},
    ],
)
def test_broken_infos(change: dict[str, object]) -> None:
    with pytest.raises((FormatError, ArgumentError)):
        NodeLayout.from_info({**MINNIE, **change})
    with pytest.raises(FormatError, match="does not say"):
        NodeLayout.from_info({})


@given(st.tuples(*[st.integers(1, 5000)] * 3), st.tuples(*[st.integers(1, 300)] * 3))
def test_covering_holds_every_chunk(shape: tuple[int, int, int], chunk: tuple[int, int, int]) -> None:
    layout = NodeLayout.covering(shape, chunk)
    last = np.array([(s - 1) // c for s, c in zip(shape, chunk, strict=True)])
    for layer in range(1, layout.n_layers + 1):
        at_layer = last >> max(0, layer - 2)
        node = layout.compose(layer, at_layer, 1)
        assert layout.chunk_of(node).tolist() == [at_layer.tolist()]
    assert not (last >> (layout.n_layers - 2)).any()
