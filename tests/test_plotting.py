"""Pictures in matplotlib: data coordinates led to pixels of the canvas, and the colours there."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.errors import ArgumentError, MissingExtraError
from imageryclient.painting.legend import Legend
from imageryclient.painting.plotting import plane_extent, plot_cutout, plot_section

COLORS = {1: (255, 0, 0), 2: (0, 160, 0), 3: (0, 0, 255)}
BOX = ic.Box((1000, 500, 40), (1060, 540, 52), (8.0, 8.0, 40.0))


def marked() -> ic.Cutout:
    """Objects 1, 2 and 3 as blocks, each elsewhere along every axis."""
    ids = np.zeros(BOX.shape, np.uint64)
    ids[5:20, 4:14, 1:4] = 1
    ids[30:40, 20:30, 4:7] = 2
    ids[45:60, 32:40, 9:12] = 3
    return ic.Cutout(None, ids, BOX)


def centre(n: int) -> np.ndarray:
    """The middle of an object in µm."""
    voxels = np.argwhere(marked().segmentation == n)
    return (voxels.mean(axis=0) + 0.5 + BOX.start) * BOX.resolution / 1000


@pytest.fixture
def axes():
    """Axes on a canvas of pixels, without pyplot."""
    pytest.importorskip("matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), dpi=100)
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def color_at(axes, x: float, y: float) -> tuple[int, ...]:
    axes.figure.canvas.draw()
    canvas = np.asarray(axes.figure.canvas.buffer_rgba())
    across, up = axes.transData.transform((x, y))
    return tuple(canvas[canvas.shape[0] - 1 - int(up), int(across), :3].tolist())


@pytest.mark.parametrize(("plane", "right", "down"), [("xy", 0, 1), ("xz", 0, 2), ("yz", 2, 1)])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_objects_lie_where_they_are(axes, plane, right, down, n) -> None:
    cut, place = marked(), centre(n)
    into = 3 - right - down
    section = int(place[into] * 1000 / BOX.resolution[into]) - BOX.start[into]
    assert plot_cutout(cut, axes, plane=plane, section=section, colors=COLORS, alpha=1) is axes
    assert color_at(axes, place[right], place[down]) == COLORS[n]
    others = [other for other in COLORS if other != n]
    assert all(color_at(axes, centre(m)[right], centre(m)[down]) == (255, 255, 255) for m in others)
    assert (axes.get_xlabel(), axes.get_ylabel()) == (f"{'xyz'[right]} (µm)", f"{'xyz'[down]} (µm)")
    assert axes.get_aspect() == 1
    left, bottom = axes.transData.transform((place[right], place[down]))
    assert axes.transData.transform((place[right], place[down] + 0.01))[1] < bottom
    assert (axes.transData.transform((place[right] + 0.01, place[down]))[0] > left) == (plane != "yz")


def test_the_middle_section_is_shown_by_default(axes) -> None:
    plot_cutout(marked(), axes, colors=COLORS, alpha=1)
    assert color_at(axes, *centre(2)[:2]) == COLORS[2]
    assert color_at(axes, *centre(1)[:2]) == (255, 255, 255)


def test_edges_lie_where_the_voxels_end(axes) -> None:
    plot_cutout(marked(), axes, section=2, colors=COLORS, alpha=1)
    assert axes.get_xlim() == (8.0, 8.48)
    assert axes.get_ylim() == (4.32, 4.0)
    for x, inside in ((8.036, False), (8.044, True), (8.156, True), (8.164, False)):
        assert (color_at(axes, x, 4.07) == COLORS[1]) == inside
    thick = ic.Box((0, 0, 0), (3, 3, 2), (10.0, 10.0, 26.0))
    assert plane_extent(thick, "xz") == (0.0, 0.03, 0.05, 0.0)


def test_zoom_and_a_legend_in_a_corner_leave_things_where_they_are(axes) -> None:
    legend = Legend(place="upper right", title="bodies")
    plot_cutout(marked(), axes, section=10, zoom=5, legend=legend, colors=COLORS, alpha=1)
    assert axes.get_xlim() == (8.0, 8.48)
    assert color_at(axes, *centre(3)[:2]) == COLORS[3]


def test_a_section_counts_from_its_corner(axes) -> None:
    ids = np.zeros((60, 40), np.uint64)
    ids[5:20, 4:14] = 1
    cut = ic.SectionCutout(None, ids, ic.Section((900.0, 900.0, 400.0), (60, 40), 8.0, (0.1, 0.2, 0.3, 0.9)))
    assert plot_section(cut, axes, colors=COLORS, alpha=1) is axes
    assert color_at(axes, 0.1, 0.07) == COLORS[1]
    assert color_at(axes, 0.2, 0.2) == (255, 255, 255)
    assert (axes.get_xlim(), axes.get_ylim()) == ((0.0, 0.48), (0.32, 0.0))


def test_the_current_axes_are_taken_by_default() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    from matplotlib import pyplot

    with matplotlib.rc_context({"backend": "Agg"}):
        figure, current = pyplot.subplots()
        assert plot_cutout(marked(), colors=COLORS) is current
        pyplot.close(figure)


def test_what_can_not_be_plotted(axes, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="'xy', 'xz' or 'yz'"):
        plot_cutout(marked(), axes, plane="zx")
    with pytest.raises(ArgumentError, match="sections"):
        plot_cutout(marked(), axes, section=12)
    with pytest.raises(ArgumentError, match="no place on axes"):
        plot_cutout(marked(), axes, legend=True)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'imageryclient\[plot\]'"):
        plot_cutout(marked())
