"""The layers between supervoxels and roots: nodes that no operation ever parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..cave.node_ids import NodeLayout
from ..errors import ArgumentError

__all__ = ["Hierarchy"]


class Hierarchy:
    """Nodes of the layers below the roots.

    A node of layer 2 or higher stands for the part of one piece within one chunk of its layer. Pieces are
    never cut, so such nodes last for ever; only the roots above them change.

    Parameters
    ----------
    supervoxels : numpy.ndarray
        uint64, shape (n,), sorted.
    pieces : numpy.ndarray
        int64, shape (n,): the piece of each.
    layout : NodeLayout
        How ids are laid out.

    Examples
    --------
    >>> layout = NodeLayout.covering((400, 100, 100), (100, 100, 100))
    >>> supervoxels = layout.compose(1, [(0, 0, 0), (0, 0, 0), (1, 0, 0)], [1, 2, 1])
    >>> hierarchy = Hierarchy(supervoxels, np.array([0, 0, 0]), layout)
    >>> layout.chunk_of(hierarchy.nodes(2)).tolist(), len(np.unique(hierarchy.nodes(3)))
    ([[0, 0, 0], [0, 0, 0], [1, 0, 0]], 1)
    """

    def __init__(self, supervoxels: NDArray[np.uint64], pieces: NDArray[np.int64], layout: NodeLayout) -> None:
        self._supervoxels = supervoxels
        self._pieces = pieces
        self._layout = layout
        self._nodes: dict[int, NDArray[np.uint64]] = {1: supervoxels}
        self._tables = {1: (supervoxels, np.arange(supervoxels.size))}

    def nodes(self, layer: int) -> NDArray[np.uint64]:
        """Give the node of `layer` above every supervoxel, uint64, shape (n,).

        Raises
        ------
        ArgumentError
            If the layer is not below that of the roots.
        """
        if not 1 <= layer < self._layout.n_layers:
            raise ArgumentError(f"layers below the roots are 1 to {self._layout.n_layers - 1}; got {layer}")
        if layer not in self._nodes:
            chunks = self._layout.chunk_of(self._supervoxels) >> (layer - 2)
            order = np.lexsort((self._pieces, *chunks.T))
            rows = np.column_stack([chunks, self._pieces])[order]
            new_node = np.r_[True, np.any(rows[1:] != rows[:-1], axis=1)]
            new_chunk = np.r_[True, np.any(rows[1:, :3] != rows[:-1, :3], axis=1)]
            count = np.cumsum(new_node)
            before = np.maximum.accumulate(np.where(new_chunk, count - 1, 0))
            nodes = np.empty(order.size, np.uint64)
            nodes[order] = self._layout.compose(layer, rows[:, :3], count - before)
            self._nodes[layer] = nodes
        return self._nodes[layer]

    def table(self, layer: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Give all nodes of a layer, sorted, and for each the place of one of its supervoxels."""
        if layer not in self._tables:
            known, first = np.unique(self.nodes(layer), return_index=True)
            self._tables[layer] = known, first.astype(np.int64)
        return self._tables[layer]
