"""Sections at any angle: planes that a caller names, sampled from the layers of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from .cutouts import Cutouts, asked_ids
from .errors import ArgumentError
from .geometry import Resolution, as_center
from .layers import Mip
from .reading import Missing
from .section import UNTURNED, Panel, Section, orientation_across
from .volumes import IdsWanted
from .volumes.base import is_versioned

if TYPE_CHECKING:
    from .neuroglancer.placement import Placement
    from .sectioncutout import SectionCutout

__all__ = ["Sections"]


class Sections(Cutouts):
    """A dataset that gives sections at any angle."""

    def section(
        self,
        center: ArrayLike,
        size: ArrayLike = (512, 512),
        *,
        orientation: ArrayLike | None = None,
        normal: ArrayLike | None = None,
        up: ArrayLike | None = None,
        panel: Panel = "xy",
        nm_per_pixel: float | None = None,
        units: Literal["voxels", "nm"] = "voxels",
        mip: Mip = None,
        image_mip: Mip = None,
        segmentation_mip: Mip = None,
        resolution: ArrayLike | None = None,
        root_ids: Any = "all",
        timestamp: Any = None,
        missing: Missing | None = None,
        follow: bool = False,
    ) -> SectionCutout:
        """Cut a section at any angle out of whatever layers the client has.

        Each pixel takes the stored voxel that contains its centre; `Section` says where that lies. Only chunks that the
        section passes through are fetched.

        Parameters
        ----------
        center : array_like
            x, y, z of the centre.
        size : array_like
            Width and height in pixels.
        orientation : array_like, optional
            Quaternion x, y, z, w, as Neuroglancer's `crossSectionOrientation`.
        normal : array_like, optional
            In its place the direction into the screen, x, y, z in nm.
        up : array_like, optional
            With `normal`, the direction that points up on the screen, as near as can be; by default y runs down.
        panel : {"xy", "xz", "yz"}
            Which panel of a view of that orientation.
        nm_per_pixel : float, optional
            By default the shortest side of a voxel at the scales that are read.
        units : {"voxels", "nm"}
            What `center` counts: voxels of `resolution`, or nm.
        mip, image_mip, segmentation_mip : int, optional
            Scales to read, as for `cutout`. By default, where `nm_per_pixel` is given, the coarsest that are as fine as
            a pixel.
        resolution : array_like, optional
            nm per voxel of `center`; by default the client's.
        root_ids, timestamp, missing, follow
            As for `segmentation_cutout`.

        Returns
        -------
        SectionCutout
            Arrays (right, down), as wide and high as asked for.

        Raises
        ------
        ArgumentError, BoundsError
            If the arguments make no section.
        OutOfBoundsError, ScaleError, TooLargeError, StorageError, DamagedDataError, AccessError
            As for `segmentation_cutout`.

        Examples
        --------
        >>> import imageryclient as ic
        >>> em = np.arange(64, dtype=np.uint8)[:, None, None].repeat(64, 1).repeat(64, 2)
        >>> client = ic.ImageryClient(image_source=em, resolution=(8, 8, 8))
        >>> client.section((32, 32, 32), (20, 10), normal=(1, 0, 1)).image[:6, 0].tolist()
        [25, 25, 26, 27, 28, 28]
        """
        if units not in ("voxels", "nm"):
            raise ArgumentError(f"units must be 'voxels' or 'nm'; got {units!r}")
        turn = _orientation(orientation, normal, up, panel)
        mips = (mip, image_mip, segmentation_mip)
        wanted = self._wanted(root_ids, timestamp, follow)
        chosen: dict[str, int] = {}
        if nm_per_pixel is None or any(one is not None for one in mips):
            pairs = self._pairs(*mips, wanted)
            chosen = {layer.name: scale.mip for layer, scale, _ in pairs}
            if nm_per_pixel is None:
                nm_per_pixel = min(min(scale.resolution) for _, scale, _ in pairs)
        unit = (1.0, 1.0, 1.0) if units == "nm" else self._resolution_of(resolution)
        x, y, z = (c * nm for c, nm in zip(as_center(center), unit, strict=True))
        section = Section((x, y, z), _size(size), nm_per_pixel, turn, panel)
        return self._section(section, unit, chosen, wanted, missing)

    def _section(
        self,
        section: Section,
        unit: Resolution,
        mips: Mapping[str, int],
        wanted: IdsWanted,
        missing: Missing | None = None,
        placements: Mapping[str, Placement] | None = None,
    ) -> SectionCutout:
        """Sample layers at these mips, or at the coarsest that are as fine as a pixel; `placements` move some."""
        from .sampling import Sampling, finest_needed, sample_layers
        from .sectioncutout import SectionCutout

        moved: dict[str, Placement] = {}
        samplings = []
        layers = self._layers.get(*self._layers.names)
        for layer in layers:
            own = layer.volume.info.scales[0].resolution
            inward = None
            place = (placements or {}).get(layer.name)
            if place is not None and place.moves(own):
                moved[layer.name] = place
                inward = place.inward(own)
            needed = finest_needed(section, layer.volume, inward)
            scale = layer.scale(mips[layer.name]) if layer.name in mips else layer.scale_for(needed)
            ids = wanted if layer.name == "segmentation" else None
            samplings.append(Sampling(layer.name, layer.volume, scale, ids, inward))
        others = [] if placements is not None else self._others(section, unit)
        samples = sample_layers(section, samplings, self._policy_of(missing), unit, others)
        found = {one.name: sample for one, sample in zip(samplings, samples, strict=True)}
        picture, labels = found.get("imagery"), found.get("segmentation")
        versioned = any(layer.name == "segmentation" and is_versioned(layer.volume) for layer in layers)
        return SectionCutout(
            image=None if picture is None else picture.data,
            segmentation=None if labels is None else labels.data,
            section=section,
            resolution=self._resolution_of(None),
            timestamp=wanted.moment if versioned else None,
            coverage={name: sample.coverage for name, sample in found.items()},
            sources={layer.name: layer.volume.source for layer in layers},
            mips={one.name: one.scale.mip for one in samplings},
            placements=moved,
            root_ids="all" if labels is None else asked_ids(wanted, labels.data),
        )

    def _others(self, section: Section, unit: Resolution) -> list[tuple[Resolution, Section]]:
        """Give the sections that the same numbers make in voxels of other sizes that the dataset knows."""
        layers = self._layers.get(*self._layers.names)
        known = (scale.resolution for layer in layers for scale in layer.volume.info.scales)
        others = []
        for other in dict.fromkeys((*known, self._resolution_of(None))):
            if not np.allclose(other, unit):
                x, y, z = (c / a * b for c, a, b in zip(section.center, unit, other, strict=True))
                moved = Section((x, y, z), section.size, section.nm_per_pixel, section.orientation, section.panel)
                others.append((other, moved))
        return others


def _orientation(orientation: Any, normal: Any, up: Any, panel: str) -> Any:
    if normal is None:
        if up is not None:
            raise ArgumentError("up= goes with normal=; an orientation says already what is up")
        return UNTURNED if orientation is None else orientation
    if orientation is not None or panel != "xy":
        raise ArgumentError("normal= takes the place of orientation= and panel=: give one or the other")
    return orientation_across(normal, up)


def _size(size: Any) -> Any:
    """Take two numbers of pixels; a third, as cutouts have it, may only be a depth of 1."""
    if np.shape(size) == (3,) and size[2] == 1:
        return size[:2]
    return size
