from __future__ import annotations

import numpy as np
import pytest

from imageryclient.painting.contours import FRAME, Contours
from imageryclient.painting.curves import Curves
from imageryclient.painting.patches import Patches
from imageryclient.painting.strokes import Pieces, strokes
from imageryclient.painting.style import Dash
from imageryclient.painting.trails import Canvas, Trails


def blobs(seed, shape=(24, 30), count=6, sparse=0.4):
    """Labels with wobbly edges, single voxels, holes and gaps."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    centres = rng.random((count, 2)) * shape
    far = np.hypot(y[..., None] - centres[:, 0], x[..., None] - centres[:, 1]) + rng.random((*shape, count))
    labels = far.argmin(axis=2).astype(np.uint8) + 1
    labels[far.min(axis=2) > np.quantile(far.min(axis=2), 1 - sparse)] = 0
    labels[rng.random(shape) < 0.01] = 0
    return labels


def disc(radius, size=64):
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    return (np.hypot(x, y) <= radius).astype(np.uint8)


def trails_of(labels, zoom=1.0, smooth=True):
    canvas = Canvas.of(labels.shape[::-1], zoom)
    contours = Contours.of(labels)
    return Trails.of(Curves.smooth(contours) if smooth else Curves.exact(contours), canvas), canvas


def distances(trails, drawn, canvas):
    """How far the centre of each pixel is from the pieces that are drawn, one piece after the other."""
    width, height = canvas.size
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    least = np.full((height, width), np.inf)
    for (x0, y0), (x1, y1) in zip(trails.start[drawn], trails.stop[drawn], strict=True):
        squared = (x1 - x0) ** 2 + (y1 - y0) ** 2
        share = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / max(squared, 1e-12)
        share = share.clip(0, 1)
        least = np.minimum(least, np.hypot(x - x0 - share * (x1 - x0), y - y0 - share * (y1 - y0)))
    return least


def spread(found, canvas, label):
    out = np.zeros(canvas.size[0] * canvas.size[1])
    for labels, pixels, shares in found:
        assert (np.diff(labels * out.size + pixels) > 0).all()
        out[pixels[labels == label]] = shares[labels == label]
    return out.reshape(canvas.size[::-1])


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("zoom", [1, 2.5])
def test_patches_are_the_shares_of_pixels(smooth, zoom):
    """Against so many points in each pixel, told inside by winding around them."""
    labels = blobs(3)
    trails, canvas = trails_of(labels, zoom, smooth)
    patches = Patches.of(trails, canvas)
    width, height = canvas.size
    fine = 8
    for label in np.unique(labels[labels > 0]).tolist():
        own = trails.labels == label
        y = (np.arange(height * fine) + 0.5) / fine
        x = (np.arange(width * fine) + 0.5) / fine
        inside = np.zeros((y.size, x.size), bool)
        for (x0, y0), (x1, y1) in zip(trails.start[own], trails.stop[own], strict=True):
            rows = np.flatnonzero((y >= min(y0, y1)) & (y < max(y0, y1)))
            if rows.size:
                at = x0 + (y[rows] - y0) / (y1 - y0) * (x1 - x0)
                inside[rows] ^= x[None, :] > at[:, None]
        want = inside.reshape(height, fine, width, fine).mean(axis=(1, 3))
        pixels = np.arange(width * height)
        got = patches.within(np.full(pixels.size, label), pixels).reshape(height, width)
        assert np.abs(got - want).max() < 0.13
        assert np.abs(got - want).mean() < 0.01
        np.testing.assert_allclose(got.sum(), inside.sum() / fine**2, rtol=0.01)
    covered = patches.whole().reshape(height, width)
    if zoom == 1 and not smooth:
        np.testing.assert_array_equal(covered, labels)
        np.testing.assert_array_equal(patches.total().reshape(height, width), labels > 0)
    assert patches.total().max() <= 1


def test_neighbours_leave_no_seam():
    labels = blobs(5, sparse=0)
    trails, canvas = trails_of(labels, 3)
    total = Patches.of(trails, canvas).total().reshape(canvas.size[::-1])
    from_null = np.kron(labels == 0, np.ones((3, 3)))
    near = distances(trails, trails.beyond == 0, canvas) < 1 if (trails.beyond == 0).any() else from_null > 2
    np.testing.assert_allclose(total[(from_null == 0) & ~near], 1)


@pytest.mark.parametrize("reach", [0.3, 1, 3.5, 10])
@pytest.mark.parametrize("zoom", [1, 3])
def test_strokes_are_as_wide_as_their_distance(reach, zoom):
    trails, canvas = trails_of(blobs(7), zoom)
    drawn = trails.beyond != FRAME
    pieces = Pieces.of(trails, drawn, 4, None)
    found = list(strokes(pieces, reach, "on", canvas))
    for label in (1, 3, 6):
        far = distances(trails, drawn & (trails.labels == label), canvas)
        want = np.maximum(np.minimum(far + 0.5, reach) - np.maximum(far - 0.5, -reach), 0)
        np.testing.assert_allclose(spread(found, canvas, label), want, atol=0.004)


@pytest.mark.parametrize("side", ["in", "out"])
def test_strokes_on_one_side_are_complete_there(side):
    trails, canvas = trails_of(blobs(8), 2)
    drawn = trails.beyond != FRAME
    reach = 6
    found = list(strokes(Pieces.of(trails, drawn, 4, None), reach, side, canvas))
    patches = Patches.of(trails, canvas)
    pixels = np.arange(canvas.size[0] * canvas.size[1])
    for label in (1, 2, 5):
        far = distances(trails, drawn & (trails.labels == label), canvas)
        inside = patches.within(np.full(pixels.size, label), pixels).reshape(far.shape)
        share = inside if side == "in" else 1 - inside
        want = np.clip(reach + 0.5 - far, 0, 1) * share
        np.testing.assert_allclose(spread(found, canvas, label) * share, want, atol=0.02)


@pytest.mark.parametrize("width", [0.5, 1, 2, 5])
def test_a_line_has_its_width(width):
    trails, canvas = trails_of(disc(20), 2)
    drawn = np.ones(len(trails.paths), bool)
    length = np.hypot(*(trails.stop - trails.start).T).sum()
    ((_, _, shares),) = strokes(Pieces.of(trails, drawn, 4, None), width / 2, "on", canvas)
    np.testing.assert_allclose(shares.sum() / length, width, rtol=0.03)


@pytest.mark.parametrize(("dash", "zoom"), [((6, 6), 1), ((9, 3), 2), ((2, 5), 1.5), ((40, 10), 2)])
def test_dashes_take_their_share(dash, zoom):
    trails, canvas = trails_of(disc(25), zoom)
    drawn = np.ones(len(trails.paths), bool)
    length = np.hypot(*(trails.stop - trails.start).T).sum()
    ((_, _, shares),) = strokes(Pieces.of(trails, drawn, 4, Dash(*dash)), 1.5, "on", canvas)
    whole, left = divmod(length, sum(dash))
    want = 3 * (whole * dash[0] + min(left, dash[0]))
    np.testing.assert_allclose(shares.sum(), want, rtol=0.02)


def test_dashes_start_where_a_line_does_and_end_bluntly():
    """A straight edge across the picture: 5 pixels drawn, 3 left out, no matter how it is cut into pieces."""
    labels = np.zeros((20, 40), np.uint8)
    labels[10:] = 1
    for longest in (2, 64):
        trails, canvas = trails_of(labels)
        pieces = Pieces.of(trails, trails.beyond == 0, longest, Dash(5, 3))
        ((_, pixels, shares),) = strokes(pieces, 2, "on", canvas)
        np.testing.assert_allclose(shares, 1, atol=0.01)
        drawn = np.flatnonzero(np.arange(40) % 8 < 5)  # the label lies right of the line, which runs east
        assert np.unique(pixels % 40).tolist() == drawn.tolist()
        assert np.unique(pixels // 40).tolist() == [8, 9, 10, 11]


def test_dashes_of_a_ring_meet_without_a_joint():
    trails, canvas = trails_of(disc(12, 32), 2)
    drawn = np.ones(len(trails.paths), bool)
    length = np.hypot(*(trails.stop - trails.start).T).sum()
    dashes = (None, Dash(1.5 * length, 1), Dash(0.6 * length, 0.2 * length))
    found = [strokes(Pieces.of(trails, drawn, 4, dash), 2, "on", canvas) for dash in dashes]
    plain, whole, two = (spread(list(one), canvas, 1) for one in found)
    np.testing.assert_array_equal(plain, whole)
    y, x = np.mgrid[:64, :64] + 0.5
    near = np.hypot(x - trails.start[0, 0], y - trails.start[0, 1]) < 8
    np.testing.assert_array_equal(plain[near], two[near])
    assert 0.7 < two.sum() / plain.sum() < 0.9


def test_nothing_to_draw():
    trails, canvas = trails_of(np.ones((5, 4), np.uint8))
    assert not list(strokes(Pieces.of(trails, trails.beyond != FRAME, 4, Dash(3, 3)), 2, "on", canvas))
    trails, canvas = trails_of(np.zeros((5, 4), np.uint8))
    patches = Patches.of(trails, canvas)
    assert not patches.whole().any()
    assert not patches.total().any()
    assert patches.within(np.array([1]), np.array([0])).tolist() == [0]
