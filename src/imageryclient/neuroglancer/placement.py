"""Where a view puts the voxels of a layer: with another size, or moved by a transform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..geometry import Resolution, as_resolution

__all__ = ["Placement"]


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """What a view says of where a layer lies.

    Parameters
    ----------
    voxel_size : tuple of float or None
        nm per voxel of its finest scale, in place of what its source says.
    transform : numpy.ndarray or None
        nm in the view = `transform` @ (nm of the layer, 1), shape (3, 4).

    Examples
    --------
    >>> Placement(voxel_size=(10.0, 10.0, 40.0)).inward((8.0, 8.0, 40.0)).tolist()
    [[0.8, 0.0, 0.0, 0.0], [0.0, 0.8, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    """

    voxel_size: Resolution | None = None
    transform: NDArray[np.float64] | None = None

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, Placement) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it holds an array

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return {
            "voxel_size": None if self.voxel_size is None else list(self.voxel_size),
            "transform": None if self.transform is None else self.transform.tolist(),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Placement:
        """Read what `to_dict` gives.

        Raises
        ------
        ValueError
            If it is something else.
        """
        size, matrix = document["voxel_size"], document["transform"]
        transform = None if matrix is None else np.array(matrix, np.float64)
        if transform is not None and (transform.shape != (3, 4) or not np.isfinite(transform).all()):
            raise ValueError(f"a transform has 3 rows of 4 numbers; got {matrix!r:.80}")
        return cls(None if size is None else as_resolution(size), transform)

    def moves(self, own: Resolution) -> bool:
        """Tell whether a layer whose finest scale has voxels of `own` nm lies elsewhere than its source says."""
        resized = self.voxel_size is not None and not np.allclose(self.voxel_size, own, rtol=1e-6)
        return resized or self.transform is not None

    def inward(self, own: Resolution) -> NDArray[np.float64]:
        """Give what leads from the view to the layer: nm as its source counts them = matrix @ (nm in the view, 1).

        Raises
        ------
        ArgumentError
            If the transform cannot be undone.
        """
        outward = np.eye(3, 4) if self.transform is None else self.transform
        linear = outward[:, :3]
        if np.linalg.matrix_rank(linear) < 3:
            raise ArgumentError(
                f"the transform {outward.tolist()} makes a layer flat, so that it shows no section of it"
            )
        back = np.linalg.inv(linear)
        scale = np.ones(3) if self.voxel_size is None else np.array(own) / self.voxel_size
        return scale[:, None] * np.column_stack([back, -back @ outward[:, 3]])
