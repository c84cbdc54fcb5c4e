"""Node ids of a chunked graph, packed and unpacked: pure arithmetic on uint64.

An id holds, from its highest bit down: the layer (`layer_bits`, usually 8), the chunk's x, y and z (each with
as many bits as that layer has in `spatial_bits`), and a counter of the segments in that chunk. Layer 1 holds
the supervoxels, layer `n_layers` the roots. The format is PyChunkedGraph's; an info's `graph` entry describes
it.

Nothing here passes through a float: ids of real datasets exceed 2**53.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError, FormatError
from ..geometry import IntTriple
from ..ids import as_ids

__all__ = ["NodeLayout"]

_ID_BITS = 64


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """How the ids of one chunked graph are laid out.

    Parameters
    ----------
    chunk_size : tuple of int
        Voxels of the base scale in a chunk of layers 1 and 2, along x, y, z.
    n_layers : int
        The layer of the roots.
    layer_bits : int
        Bits for the layer.
    spatial_bits : tuple of int
        Bits for each of x, y and z in layers 1, 2, ... `n_layers`.

    Examples
    --------
    >>> layout = NodeLayout((256, 256, 512), n_layers=4, layer_bits=8, spatial_bits=(10, 10, 5, 1))
    >>> node = layout.compose(1, [3, 4, 5], 77)
    >>> node
    array([72268975483912269], dtype=uint64)
    >>> layout.layer_of(node), layout.chunk_of(node), layout.segment_of(node)
    (array([1]), array([[3, 4, 5]]), array([77], dtype=uint64))
    """

    chunk_size: IntTriple
    n_layers: int
    layer_bits: int
    spatial_bits: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse a layout whose numbers cannot be true."""
        if len(self.chunk_size) != 3 or min(self.chunk_size) < 1:
            raise ArgumentError(f"chunk_size must be three positive numbers; got {self.chunk_size!r}")
        if not 1 <= self.layer_bits <= 16 or not 2 <= self.n_layers < 2**self.layer_bits:
            raise ArgumentError(f"{self.n_layers} layers cannot be told apart with {self.layer_bits} bits")
        if len(self.spatial_bits) != self.n_layers:
            raise ArgumentError(
                f"spatial_bits must hold one number for each of {self.n_layers} layers; got {len(self.spatial_bits)}"
            )
        if min(self.spatial_bits) < 0 or self.layer_bits + 3 * max(self.spatial_bits) >= _ID_BITS:
            raise ArgumentError(f"spatial_bits leave no room for segments: {self.spatial_bits!r}")

    @classmethod
    def from_info(cls, graph: Mapping[str, Any]) -> NodeLayout:
        """Read the `graph` entry of a segmentation's info.

        Raises
        ------
        FormatError
            If an entry is absent or makes no sense.

        Examples
        --------
        >>> NodeLayout.from_info({"chunk_size": [256, 256, 512], "n_layers": 3, "n_bits_for_layer_id": 8,
        ...                       "spatial_bit_masks": {"1": 10, "2": 10, "3": 1}}).spatial_bits
        (10, 10, 1)
        """
        try:
            n_layers = int(graph["n_layers"])
            masks = {int(layer): int(bits) for layer, bits in graph["spatial_bit_masks"].items()}
            x, y, z = (int(c) for c in graph["chunk_size"])
            spatial = tuple(masks[layer] for layer in range(1, n_layers + 1))
            return cls((x, y, z), n_layers, int(graph.get("n_bits_for_layer_id", 8)), spatial)
        except KeyError as missing:
            raise FormatError(
                f"the graph entry of the info does not say {missing}; it must hold chunk_size, n_layers, "
                f"n_bits_for_layer_id and spatial_bit_masks for every layer"
            ) from None
        except (AttributeError, TypeError, ValueError) as error:
            raise FormatError(f"the graph entry of the info makes no sense: {error}") from None

    @classmethod
    def covering(cls, shape: Sequence[int], chunk_size: IntTriple, *, atomic_bits: int = 8) -> NodeLayout:
        """Lay out ids for a volume of `shape` voxels: chunks double from layer to layer until one holds all.

        Parameters
        ----------
        shape : sequence of int
            Voxels of the base scale along x, y, z.
        chunk_size : tuple of int
            Voxels in a chunk of layer 1.
        atomic_bits : int
            The least number of bits per axis in layers 1 and 2.

        Examples
        --------
        >>> NodeLayout.covering((1000, 600, 300), (256, 256, 128)).n_layers
        4
        """
        chunks = max(-(-int(s) // c) for s, c in zip(shape, chunk_size, strict=True))
        n_layers = max(3, 2 + (chunks - 1).bit_length())
        upper = [max(1, n_layers - layer) for layer in range(3, n_layers + 1)]
        atomic = max(atomic_bits, n_layers - 2)
        return cls(chunk_size, n_layers, 8, (atomic, atomic, *upper))

    def to_info(self) -> dict[str, Any]:
        """Give the layout as the `graph` entry of an info holds it.

        Examples
        --------
        >>> NodeLayout((64, 64, 64), 3, 8, (8, 8, 1)).to_info()["spatial_bit_masks"]
        {'1': 8, '2': 8, '3': 1}
        """
        return {
            "chunk_size": list(self.chunk_size),
            "n_layers": self.n_layers,
            "n_bits_for_layer_id": self.layer_bits,
            "spatial_bit_masks": {str(layer): bits for layer, bits in enumerate(self.spatial_bits, start=1)},
        }

    def layer_of(self, ids: ArrayLike) -> NDArray[np.int64]:
        """Give the layer of each id; 0 for the id 0, which is no node.

        Returns
        -------
        numpy.ndarray
            int64, shape of `ids`.
        """
        return (as_ids(ids) >> np.uint64(_ID_BITS - self.layer_bits)).astype(np.int64)

    def chunk_of(self, ids: ArrayLike) -> NDArray[np.int64]:
        """Give the chunk of each id, counted in chunks of its own layer.

        Returns
        -------
        numpy.ndarray
            int64, the shape of `ids` and an axis of 3 more (x, y, z); zeros for the id 0.

        Raises
        ------
        ArgumentError
            If an id names a layer that the graph does not have.
        """
        nodes = as_ids(ids)
        bits = self._bits(nodes)
        mask = (np.uint64(1) << bits) - np.uint64(1)
        high = np.uint64(_ID_BITS - self.layer_bits)
        axes = [(nodes >> (high - np.uint64(axis) * bits)) & mask for axis in (1, 2, 3)]
        return np.stack(axes, axis=-1).astype(np.int64)

    def segment_of(self, ids: ArrayLike) -> NDArray[np.uint64]:
        """Give the counter that tells the nodes of one chunk apart.

        Returns
        -------
        numpy.ndarray
            uint64, shape of `ids`.

        Raises
        ------
        ArgumentError
            If an id names a layer that the graph does not have.
        """
        nodes = as_ids(ids)
        return nodes & self._segment_mask(self._bits(nodes))

    def compose(self, layer: ArrayLike, xyz: ArrayLike, segment: ArrayLike) -> NDArray[np.uint64]:
        """Pack layers, chunks and counters into ids; the three are broadcast.

        Parameters
        ----------
        layer : array_like
            One number, or one for each id.
        xyz : array_like
            Chunks, shape (3,) or (n, 3).
        segment : array_like
            One number, or one for each id.

        Returns
        -------
        numpy.ndarray
            uint64, shape (n,).

        Raises
        ------
        ArgumentError
            If a number does not fit its bits.
        """
        chunks = np.atleast_2d(as_ids(xyz))
        if chunks.ndim != 2 or chunks.shape[1] != 3:
            raise ArgumentError(f"chunks must be three numbers (x, y, z) each; got shape {np.shape(xyz)}")
        layers = as_ids(layer)
        if np.any(layers < 1) or np.any(layers > self.n_layers):
            raise ArgumentError(f"the graph has layers 1 to {self.n_layers}; got {layer!r}")
        bits = np.array((0, *self.spatial_bits), np.uint64)[layers.astype(np.intp)]
        counter = as_ids(segment)
        if np.any(chunks >> bits[..., None]):
            raise ArgumentError(f"a chunk does not fit the bits of its layer ({self.spatial_bits!r})")
        if np.any(counter > self._segment_mask(bits)):
            raise ArgumentError(f"a segment number does not fit the bits left for it (at most {counter.max()})")
        high = np.uint64(_ID_BITS - self.layer_bits)
        nodes = (layers << high) | counter
        for axis in (1, 2, 3):
            nodes = nodes | (chunks[:, axis - 1] << (high - np.uint64(axis) * bits))
        return nodes

    def _bits(self, nodes: NDArray[np.uint64]) -> NDArray[np.uint64]:
        layers = self.layer_of(nodes)
        table = np.array((0, *self.spatial_bits), np.uint64)
        if np.any(layers > self.n_layers):
            wrong = nodes[layers > self.n_layers].flat[0]
            raise ArgumentError(f"the graph has layers 1 to {self.n_layers}, but {wrong} is of layer {layers.max()}")
        return table[layers]

    def _segment_mask(self, bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left = np.uint64(_ID_BITS - self.layer_bits) - np.uint64(3) * bits
        return (np.uint64(1) << left) - np.uint64(1)
