"""What was cut out, in a viewer and in words: Neuroglancer views and links, and what is written down of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from .errors import ImageryError
from .painting.options import options_over

if TYPE_CHECKING:
    from .files.record import AskedIds, Record
    from .neuroglancer.views import View

__all__ = ["Linked"]


class Linked(ABC):
    """What has sources, ids and a look, and so can be shown in Neuroglancer: a cutout, or a section.

    Examples
    --------
    >>> import imageryclient as ic
    >>> [kind.__name__ for kind in (ic.Cutout, ic.SectionCutout) if issubclass(kind, Linked)]
    ['Cutout', 'SectionCutout']
    """

    sources: Mapping[str, str]
    root_ids: AskedIds
    painting: Mapping[str, Any]

    @abstractmethod
    def record(self, **painting: Any) -> Record:
        """Give what the arrays are, and how a picture of them is painted: what a file says of itself."""

    @abstractmethod
    def _view(
        self, painting: Mapping[str, Any] | None, resolution: ArrayLike | None = None, root_ids: Any = None
    ) -> View:
        """Give the view, which looks as Neuroglancer has it where there is no painting."""

    def as_view(
        self,
        *,
        resolution: ArrayLike | None = None,
        root_ids: Any = None,
        contrast: tuple[float, float] | None = None,
        **painting: Any,
    ) -> View:
        """Give the Neuroglancer view of this place, with its sources, ids and moment, that looks as its overlay does.

        Parameters
        ----------
        resolution : array_like, optional
            nm per voxel of the coordinates that the viewer shows; by default those of `resolution` here.
        root_ids : sequence of int, optional
            The segments to select; by default all that were cut out.
        contrast : tuple of float, optional
            Another name for `display_range`: what is black and what is white in the imagery, in its values.
        **painting
            As for `overlay`. Of it a viewer can show colours, an opacity for all segments or one for those selected and
            a lower one for the others, plane and contrast.

        Returns
        -------
        View
            Turned, and with layers moved, as here. `to_state` makes a state of it, `neuroglancer_url` a link.

        Raises
        ------
        ArgumentError
            If a source lies where a viewer cannot reach it.

        Examples
        --------
        >>> import numpy as np, imageryclient as ic
        >>> cut = ic.Cutout(np.zeros((8, 8, 1), np.uint8), None, ic.Box((0, 0, 5), (8, 8, 6), (8.0, 8.0, 40.0)),
        ...                 sources={"imagery": "precomputed://gs://bucket/em"})
        >>> cut.as_view().to_state()["position"]
        [4.0, 4.0, 5.5]
        """
        given = painting if contrast is None else painting | {"display_range": contrast}
        return self._view(given, resolution, root_ids)

    def view(self, *, open_browser: bool = False, **options: Any) -> Any:
        """Open the local Neuroglancer on what was cut out: its voxels where they lie, over its sources.

        Parameters
        ----------
        open_browser : bool
            Whether to open a browser at once; else print the viewer, or let a notebook show it, for its address.
        **options
            As for `overlay` and `as_view`.

        Returns
        -------
        neuroglancer.Viewer
            Served on this machine alone, as long as this process lives; see `neuroglancer.localviewer.open_viewer`.

        Raises
        ------
        MissingExtraError
            If neuroglancer is not installed.

        Examples
        --------
        >>> import numpy as np, imageryclient as ic
        >>> cut = ic.Cutout(np.zeros((8, 8, 1), np.uint8), None, ic.Box((0, 0, 5), (8, 8, 6), (8.0, 8.0, 40.0)))
        >>> print(cut.view(open_browser=True))  # doctest: +SKIP
        """
        from .neuroglancer.localviewer import open_viewer

        return open_viewer(self, open_browser=open_browser, **options)  # type: ignore[arg-type]

    def neuroglancer_url(self, site: str | None = None, **options: Any) -> str:
        """Give a link that shows this place in Neuroglancer: the same voxels, ids, colours and contrast.

        Parameters
        ----------
        site : str, optional
            Address of a Neuroglancer, or "google", which is the default, or "spelunker"; proofread segmentations need
            one that knows CAVE's tokens, as spelunker does.
        **options
            As for `as_view`.

        Returns
        -------
        str
            The link, with the whole state in it.

        Raises
        ------
        ArgumentError
            If a source lies where a viewer cannot reach it.

        Examples
        --------
        >>> import numpy as np, imageryclient as ic
        >>> tilted = ic.Section((0.0, 0.0, 0.0), (8, 8), 8.0, (0.6, 0.0, 0.0, 0.8))
        >>> cut = ic.SectionCutout(np.zeros((8, 8)), None, tilted, sources={"imagery": "precomputed://gs://bucket/em"})
        >>> cut.neuroglancer_url()[:50], "crossSectionOrientation" in cut.neuroglancer_url()
        ('https://neuroglancer-demo.appspot.com/#!%7B%22dime', True)
        """
        from .neuroglancer.links import DEFAULT_SITE, make_link

        return make_link(self.as_view(**options).to_state(), site or DEFAULT_SITE)

    def metadata(self) -> dict[str, Any]:
        """Give what the arrays are, ready for JSON.

        Returns
        -------
        dict
            The record as a dictionary, ids as text.

        Examples
        --------
        >>> import numpy as np, imageryclient as ic
        >>> cut = ic.Cutout(np.zeros((8, 8, 1), np.uint8), None, ic.Box((0, 0, 5), (8, 8, 6), (8.0, 8.0, 40.0)))
        >>> cut.metadata()["bounds"]["start"]
        [0, 0, 5]
        """
        return self.record().to_dict()

    def _painting(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Give the options of a picture: those given, over its own."""
        return options_over(self.painting, options)

    def _link(self, painting: Mapping[str, Any] | None = None) -> str | None:
        """Give a link for the record, with just the ids asked for: none selected shows all; None where none is."""
        from .neuroglancer.links import DEFAULT_SITE, make_link

        if not self.sources:
            return None
        asked = self.root_ids if isinstance(self.root_ids, tuple) else ()
        try:
            return make_link(self._view(painting, root_ids=asked).to_state(), DEFAULT_SITE)
        except (ImageryError, TypeError):  # of arrays, and of folders on this machine; painted with what nothing shows
            return None
