"""Look-ups: which object is at a point, where an object is, what changed in a box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .dataset import Dataset, Wanted
from .errors import ArgumentError, IdWarning, MissingDataError, MissingDataWarning, OutOfBoundsError
from .geometry import Box, Resolution, format_resolution
from .ids import as_ids
from .layers import Layer, Mip
from .moment import format_moment
from .place import Place
from .pools import together
from .reading import Missing, Policy, say, warn_of_future
from .scales import Scale
from .volumes import GrapheneVolume, IdsWanted, SegmentationVolume
from .volumes.base import listed
from .whereabouts import chunks_of, parts_of, search, staleness, tighten, whole_of

if TYPE_CHECKING:
    from .changes import Changes
    from .points import Points
    from .volumes.scattered import IdsAt

__all__ = ["Lookups"]

_AROUND = 256 * 2**20  # bytes of a cutout around an object, unless its scale is given
_NEARLY_ALL = 0.9  # points that would lie within the data, for a hint at another resolution


class Lookups(Dataset):
    """A dataset that can be asked what is where, and since when."""

    def root_ids_at(
        self,
        points: Any,
        *,
        resolution: ArrayLike | None = None,
        timestamp: Any = None,
        column: str | None = None,
        mip: Mip = None,
        missing: Missing | None = None,
    ) -> NDArray[np.uint64]:
        """Give the object at each of many points.

        Parameters
        ----------
        points : array_like, pandas.DataFrame or pandas.Series
            Shape (n, 3): x, y, z of places, which may be fractional; or three numbers. Or a CAVE table, with a
            position split into columns NAME_x, NAME_y and NAME_z or joined in a column NAME; or such a joined column.
        resolution : array_like, optional
            nm per voxel of the numbers. By default what the table says of itself
            (`df.attrs["dataframe_resolution"]`, as CAVEclient notes it); else the client's.
        timestamp : datetime, float, str, optional
            Moment to see the objects at; by default the client's.
        column : str, optional
            Which position of a table that has several, such as "pre_pt_position".
        mip : int, optional
            Scale of the segmentation to read.
        missing : {"warn", "fill", "raise"}, optional
            What to do about points outside the data, in chunks that were never written, or without a position (None,
            NaN), in place of the client's: they are 0.

        Returns
        -------
        numpy.ndarray
            uint64, shape (n,); (1,) for three numbers. A point counts for the stored voxel that contains it: `p` lies
            `p * resolution` nm from the origin, so in the layer's own voxels it is voxel `floor(p)`. 0 where there is
            no object. A flat segmentation gives its ids as stored.

        Raises
        ------
        OutOfBoundsError
            If no point lies within the data.
        BoundsError, ArgumentError
            If the points are none, or the table does not tell which they are.
        MissingDataError
            If something is missing, and `missing` is "raise".
        AccessError, StorageError, DamagedDataError
            If the segmentation cannot be read.

        Examples
        --------
        >>> import imageryclient as ic
        >>> labels = np.repeat([7, 9], 32).astype(np.uint64)[:, None, None].repeat(64, axis=1)
        >>> client = ic.ImageryClient(segmentation_source=labels, resolution=(8, 8, 40))
        >>> client.root_ids_at([[31.9, 10, 0], [32, 10, 0]])
        array([7, 9], dtype=uint64)
        """
        wanted = self._wanted("all", timestamp)
        layer, ids = self._stored_at(points, resolution, column, mip, missing)
        if not isinstance(layer.volume, GrapheneVolume):
            return ids
        if self._policy_of(missing).missing != "fill":
            warn_of_future(wanted)
        supervoxels, place = np.unique(ids, return_inverse=True)
        return layer.volume.graph.roots(supervoxels, wanted.moment, remember=wanted.pinned)[place]

    def supervoxels_at(
        self,
        points: Any,
        *,
        resolution: ArrayLike | None = None,
        column: str | None = None,
        mip: Mip = None,
        missing: Missing | None = None,
    ) -> NDArray[np.uint64]:
        """Give the supervoxel at each of many points; of a flat segmentation its id.

        As `root_ids_at`, without the question which object it belongs to.

        Parameters
        ----------
        points, resolution, column, mip, missing
            As for `root_ids_at`.

        Returns
        -------
        numpy.ndarray
            uint64, shape (n,); 0 where there is none.

        Raises
        ------
        ImageryError
            As for `root_ids_at`.

        Examples
        --------
        >>> import imageryclient as ic
        >>> labels = ic.ArraySource(np.full((64, 64, 8), 7, np.uint64), (8, 8, 40))
        >>> ic.ImageryClient(segmentation_source=labels).supervoxels_at([[100, 60, 4]], resolution=(4, 4, 40))
        array([7], dtype=uint64)
        """
        return self._stored_at(points, resolution, column, mip, missing)[1]

    def bounds_of(
        self,
        root_id: Any,
        *,
        timestamp: Any = None,
        resolution: ArrayLike | None = None,
        mip: Mip = None,
        missing: Missing | None = None,
    ) -> Box:
        """Give a box that holds an object, fit to be passed on as `bounds`.

        Parameters
        ----------
        root_id : int
            The object.
        timestamp : datetime, float, str, optional
            Moment at which the id should be that of an object; by default the client's.
        resolution : array_like, optional
            nm per voxel of the box; by default the client's.
        mip : int, optional
            Scale of the segmentation to look closer at: the box is then that of the object's voxels there. Without it
            no voxel of a proofread segmentation is read: the box is made of the graph's chunks that hold parts of the
            object. A flat one is searched at the coarsest scale where the object is seen, and the box is a voxel of
            that wider.
        missing : {"warn", "fill", "raise"}, optional
            What to do about an id that is no object at the moment but was one or will be, in place of the client's.

        Returns
        -------
        Box
            Whole voxels of `resolution`.

        Raises
        ------
        ArgumentError
            If the id is a supervoxel, or another node that is no object.
        MissingDataError
            If nobody knows the id; or, when `missing` is "raise", if it is not current.

        Examples
        --------
        >>> import imageryclient as ic
        >>> labels = np.zeros((64, 64, 8), np.uint64)
        >>> labels[10:20, 30:40, 2] = 7
        >>> ic.ImageryClient(segmentation_source=labels, resolution=(8, 8, 40)).bounds_of(7, mip=0)
        Box(start=(10, 30, 2), stop=(20, 40, 3), resolution=(8.0, 8.0, 40.0))
        """
        wanted = self._wanted(_one_id(root_id), timestamp)
        (layer,) = self._layers.get("segmentation")
        box = self._bounds_of(layer, wanted, mip, self._policy_of(missing))
        return box.at(self._resolution_of(resolution))

    def changes(
        self,
        bounds: ArrayLike | Box,
        since: Any,
        until: Any = None,
        *,
        bbox_size: ArrayLike | None = None,
        mip: Mip = None,
        image_mip: Mip = None,
        segmentation_mip: Mip = None,
        resolution: ArrayLike | None = None,
        missing: Missing | None = None,
    ) -> Changes:
        """Tell which objects in a box changed between two moments.

        Parameters
        ----------
        bounds : array_like
            Lower and upper corner, shape (2, 3); or a centre, when a size is given.
        since, until : datetime, float, str
            The moments. `until` is by default the client's.
        bbox_size : array_like, optional
            Size around the centre, two or three numbers of voxels of `resolution`; two make one section.
        mip, image_mip, segmentation_mip
            As for `cutout`.
        resolution : array_like, optional
            nm per voxel of `bounds` and `bbox_size`; by default the client's.
        missing : {"warn", "fill", "raise"}, optional
            In place of the client's.

        Returns
        -------
        Changes
            A table of old and new roots, arrays of the roots before and after, and a picture over the imagery, if the
            client has any.

        Raises
        ------
        ArgumentError
            If the segmentation does not change over time, or the moments are not in order.
        BoundsError, OutOfBoundsError, ScaleError, TooLargeError, StorageError, DamagedDataError
            As for `image_cutout`.

        Examples
        --------
        >>> import tempfile, imageryclient as ic
        >>> from imageryclient.demo.build import build_phantom
        >>> from imageryclient.demo.server import DemoServer
        >>> with tempfile.TemporaryDirectory() as folder, DemoServer(build_phantom(folder, (64, 48, 4))) as server:
        ...     source = f"graphene://{server.url}/segmentation/table/{server.table}"
        ...     client = ic.ImageryClient(segmentation_source=source, auth_token=server.token)
        ...     client.changes([[0, 0, 0], [64, 48, 4]], "2024-01-01", "2024-02-01").counts
        {'merged': 2, 'renamed': 1}
        """
        began, ended = self._wanted(None, since), self._wanted(None, until)
        (layer,) = self._layers.get("segmentation")
        volume = layer.volume
        if not isinstance(volume, GrapheneVolume):
            raise ArgumentError(f"{volume.source} is a flat segmentation: it does not change over time")
        if not began.moment < ended.moment:
            raise ArgumentError(
                f"since must be before until; got {format_moment(began.moment)} and {format_moment(ended.moment)}"
            )
        place = Place(bounds, self._resolution_of(resolution), bbox_size)
        pairs = self._pairs(mip, image_mip, segmentation_mip, ended)
        blocks = dict(zip((pair[0].name for pair in pairs), self._read_joined(place, pairs, missing), strict=True))

        def roots(supervoxels: NDArray[np.uint64]) -> list[NDArray[np.uint64]]:
            graph = volume.graph
            return together(
                *(lambda w=w: graph.roots(supervoxels, w.moment, remember=w.pinned) for w in (began, ended))
            )

        block, imagery = blocks["segmentation"], blocks.get("imagery")
        from .changes import Changes

        return Changes.between(
            block.data,
            block.box,
            began.moment,
            ended.moment,
            roots,
            None if imagery is None else imagery.data,
            {name: one.coverage for name, one in blocks.items()},
        )

    def _pairs(self, mip: Mip, image_mip: Mip, segmentation_mip: Mip, wanted: IdsWanted) -> list[Wanted]:
        """Choose the scales of a joint cutout: of the imagery, and of the segmentation the coarsest that is as fine."""
        layers = {layer.name: layer for layer in self._layers.get(*self._layers.names)}
        pairs: list[Wanted] = []
        if "imagery" in layers:
            image_scale = layers["imagery"].scale(mip if image_mip is None else image_mip)
            pairs.append((layers["imagery"], image_scale, None))
        if "segmentation" in layers:
            segmentation = layers["segmentation"]
            if mip is None or segmentation_mip is not None or not pairs:
                scale = segmentation.scale(mip if segmentation_mip is None else segmentation_mip)
            else:
                scale = segmentation.scale_for(pairs[0][1].resolution)
            pairs.append((segmentation, scale, wanted))
        return pairs

    def _around(self, root_id: Any, wanted: IdsWanted, missing: Missing | None) -> tuple[Box, int]:
        """Give the box of an object, and the finest mip at which a cutout of all layers keeps under `_AROUND` bytes."""
        (segmentation,) = self._layers.get("segmentation")
        alone = IdsWanted(_one_id(root_id), wanted.moment, wanted.pinned)
        box = self._bounds_of(segmentation, alone, None, self._policy_of(missing))
        leading = self._layers.get(*self._layers.names)[0]
        scales = [scale for scale in leading.volume.info.scales if not scale.placeholder]
        for scale in scales:
            pairs = self._pairs(scale.mip, None, None, wanted)
            x, y, z = (min(axis) for axis in zip(*(one.resolution for _, one, _ in pairs), strict=True))
            sizes = (
                8 if ids else layer.volume.info.dtype.itemsize * layer.volume.info.channels for layer, _, ids in pairs
            )
            if box.at((x, y, z)).voxels * sum(sizes) <= _AROUND:
                return box, scale.mip
        return box, scales[-1].mip

    def _bounds_of(self, layer: Layer, wanted: IdsWanted, mip: Mip, policy: Policy) -> Box:
        assert isinstance(layer.volume, SegmentationVolume)
        assert isinstance(wanted.root_ids, np.ndarray)
        volume, scale = layer.volume, None if mip is None else layer.scale(mip)
        if not isinstance(volume, GrapheneVolume):
            return search(volume, scale, wanted)
        root = int(wanted.root_ids[0])
        parts = parts_of(volume, root)
        if policy.missing != "fill" or scale is not None:
            fact = staleness(volume, root, wanted)
            if fact and scale is not None:
                raise MissingDataError(
                    f"{fact}; so it has no voxel at mip {scale.mip}. Leave mip out, or pass a timestamp it is valid at"
                )
            if fact:
                say(policy, fact, "the box is that of all its parts", IdWarning)
        if scale is None:
            box = whole_of(volume, parts)
            lost = f"all parts of the object {root} lie beyond the bounds of {volume.source}"
        else:
            box = tighten(volume, scale, chunks_of(volume, parts), wanted)
            lost = f"the object {root} has no voxel at {listed([scale])}; it may be too thin for it"
        if box is None:
            raise MissingDataError(lost)
        return box

    def _stored_at(
        self, points: Any, resolution: ArrayLike | None, column: str | None, mip: Mip, missing: Missing | None
    ) -> tuple[Layer, NDArray[np.uint64]]:
        """Read the ids stored at points, and say which are missing."""
        from .points import parse_points, stored_voxels
        from .volumes.scattered import ids_at

        policy = self._policy_of(missing)
        places = parse_points(points, column, scaled=resolution is not None)
        unit = places.resolution or self._resolution_of(resolution)
        (layer,) = self._layers.get("segmentation")
        assert isinstance(layer.volume, SegmentationVolume)
        scale = layer.scale(mip)
        placed = places.placed
        found = ids_at(layer.volume, scale, stored_voxels(places.xyz[placed], unit, scale.resolution))
        if len(places):
            self._check(places, unit, layer, scale, found, policy)
        ids = np.zeros(len(places), dtype=np.uint64)
        ids[placed] = found.ids
        return layer, ids

    def _check(
        self, places: Points, unit: Resolution, layer: Layer, scale: Scale, found: IdsAt, policy: Policy
    ) -> None:
        source, hint = layer.volume.source, ""
        where = f"{scale.bounds.at(unit)} (mip {scale.mip}, {source})"
        if found.outside.any():
            hint = self._fitting(places, unit, layer, scale)
        if len(found.outside) and found.outside.all():
            count = len(found.outside)
            who = f"all {count} points lie" if count > 1 else "the point lies"
            raise OutOfBoundsError(
                f"{who} outside the data, which span {where}; "
                f"the numbers were read as voxels of {format_resolution(unit)} nm{hint}"
            )
        if policy.missing == "fill":
            return
        nowhere = np.flatnonzero(~places.placed)
        facts = []
        if found.outside.any():
            facts.append(
                f"{found.outside.sum()} of {len(places)} points lie outside the data, which span {where}{hint}"
            )
        if found.absent.any():
            facts.append(f"{found.absent.sum()} of {len(places)} points lie in chunks that were never written")
        if nowhere.size:
            shown = ", ".join(map(str, nowhere[:5].tolist())) + (", …" if nowhere.size > 5 else "")
            facts.append(f"{nowhere.size} of {len(places)} points have no position (rows {shown})")
        if facts:
            say(policy, "; ".join(facts), "they are 0 in the result", MissingDataWarning)

    def _fitting(self, places: Points, unit: Resolution, layer: Layer, scale: Scale) -> str:
        """Name the resolutions in which more of the points, and nearly all, would lie within the data."""
        from .points import stored_voxels

        xyz, inside = places.xyz[places.placed], {}
        known = (one.resolution for one in layer.volume.info.scales)
        for other in dict.fromkeys((unit, *known, self._resolution_of(None), (1.0, 1.0, 1.0))):
            voxels = stored_voxels(xyz, other, scale.resolution)
            within = np.all((voxels >= scale.bounds.start) & (voxels < scale.bounds.stop), axis=1)
            inside[other] = int(within.sum())
        most = max(inside.values())
        if most == inside[unit] or most < _NEARLY_ALL * len(xyz):
            return ""
        fitting = [resolution for resolution, count in inside.items() if count == most]
        names = " or ".join(format_resolution(r) for r in fitting)
        share = "All" if most == len(xyz) else f"{most} of them"
        how = ", ".join(f"{n:g}" for n in fitting[0])
        return f". {share} would fit as voxels of {names} nm: pass resolution=({how})"


def _one_id(value: Any) -> NDArray[np.uint64]:
    """Read one id."""
    ids = as_ids(value if not isinstance(value, (list, tuple)) else np.array(value, dtype=object)).reshape(-1)
    if ids.size != 1:
        raise ArgumentError(f"one id is wanted; got {ids.size}")
    return ids
