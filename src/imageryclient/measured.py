"""A segmentation in a box, measured: what `measuring` finds, as methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from .measuring import Contacts, Measurements, Nearest

__all__ = ["Measured"]


class Measured:
    """What holds a segmentation, and the box that it fills; see `imageryclient.measuring`."""

    def measure(self, ids: ArrayLike | None = None) -> Measurements:
        """Measure the objects: voxels, volume, bounding box, centroid.

        Parameters
        ----------
        ids : array_like of int, optional
            Which ones, in this order; by default all there are.

        Returns
        -------
        Measurements
            One row for each id, in voxels, nm and µm³; see `measuring.measure`.

        Raises
        ------
        ArgumentError
            If there is no segmentation.

        Examples
        --------
        >>> import numpy as np, imageryclient as ic
        >>> labels = np.full((4, 4, 2), 5, np.uint64)
        >>> cut = ic.Cutout(None, labels, ic.Box((0, 0, 0), (4, 4, 2), (8.0, 8.0, 40.0)))
        >>> cut.measure().voxels.tolist(), cut.measure().centroid.tolist()
        ([32], [[16.0, 16.0, 40.0]])
        """
        from .measuring import measure

        return measure(self, ids=ids)

    def contact_areas(self, ids: ArrayLike | None = None) -> Contacts:
        """Find which objects touch, and over what area.

        Parameters
        ----------
        ids : array_like of int, optional
            Give only pairs with at least one of these.

        Returns
        -------
        Contacts
            One row for each pair, with faces of voxels and µm²; see `measuring.contact_areas`.

        Raises
        ------
        ArgumentError
            If there is no segmentation.

        Examples
        --------
        >>> import numpy as np, imageryclient as ic
        >>> labels = np.array([[[7], [9]], [[7], [9]]], np.uint64)
        >>> cut = ic.Cutout(None, labels, ic.Box((0, 0, 0), (2, 2, 1), (8.0, 8.0, 40.0)))
        >>> cut.contact_areas().between(7, 9)  # µm²
        0.00064
        """
        from .measuring import contact_areas

        return contact_areas(self, ids=ids)

    def nearest_distance(self, first: int, second: int) -> Nearest:
        """Find how far two objects are apart.

        Parameters
        ----------
        first, second : int
            The objects.

        Returns
        -------
        Nearest
            The distance of the centres of the closest two voxels in nm, and where these lie; see
            `measuring.nearest_distance`.

        Raises
        ------
        ArgumentError
            If there is no segmentation, or an object has no voxel in it.

        Examples
        --------
        >>> import numpy as np, imageryclient as ic
        >>> labels = np.array([7, 0, 0, 9], np.uint64).reshape(4, 1, 1)
        >>> cut = ic.Cutout(None, labels, ic.Box((0, 0, 0), (4, 1, 1), (8.0, 8.0, 40.0)))
        >>> cut.nearest_distance(7, 9).distance
        24.0
        """
        from .measuring import nearest_distance

        return nearest_distance(self, first, second)
