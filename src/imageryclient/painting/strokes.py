"""Anti-aliased lines along paths: how much of each pixel each label's line covers, for any number of labels.

A line covers what lies within half its width of its path, so it has round joints and ends, but for dashes, which end
bluntly. A pixel is covered as far as it would be if it lay along the line: by its distance from the path alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .style import Dash, LineSide
from .trails import Canvas, Trails

__all__ = ["Pieces", "Shares", "strokes"]

_AT_ONCE = 1 << 17  # pixels looked at in one go, as 32-bit floats: they stay in the processor's cache
_SHEETS = 1 << 24  # pixels of the labels' boxes held at once
_FAINT = 1 / 512
_WAYS = 32  # directions that pieces are sorted by
_DIAGONAL = 1.25  # pixels from the middle of a pixel, wherever a line passes through it, to what it touches

Shares = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]  # labels, pixels, how much of them


@dataclass(frozen=True, slots=True)
class Pieces:
    """Straight pieces of lines, sorted by label.

    Parameters
    ----------
    middle, along : numpy.ndarray of float64
        Shape (n, 2): the middle of each piece, and the unit vector of its direction.
    half : numpy.ndarray of float64
        Half its length.
    turn : numpy.ndarray of float64
        How far the line turns at its ends, from 0 to 1: the sine of half the larger angle; 1 where the line ends.
    labels : numpy.ndarray of int64
        Its label.
    before, after : numpy.ndarray of float64 or None
        How far behind and ahead of its middle, along the path, its dash ends; None for lines without dashes.
    """

    middle: NDArray[np.float64]
    along: NDArray[np.float64]
    half: NDArray[np.float64]
    turn: NDArray[np.float64]
    labels: NDArray[np.int64]
    before: NDArray[np.float64] | None = None
    after: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, trails: Trails, drawn: NDArray[np.bool_], longest: float, dash: Dash | None) -> Pieces:
        """Take the pieces that are drawn, in parts that are no longer than a length.

        Parameters
        ----------
        trails : Trails
            Whole closed paths.
        drawn : numpy.ndarray of bool
            Which of their pieces are part of a line.
        longest : float
            How long a part may be, in pixels.
        dash : Dash or None
            What is left out of the lines, counted from where each starts.
        """
        steps = trails.stop - trails.start
        length = np.hypot(steps[:, 0], steps[:, 1])
        drawn = drawn & (length > 0)
        units = steps / np.where(length > 0, length, 1)[:, None]
        turns = _turns(trails.paths, units, drawn)
        which = np.flatnonzero(drawn)
        begin, end, bounds = np.zeros(len(which)), length[which], None
        if dash is not None:
            which, begin, end, bounds = _dashed(trails.paths, length, drawn, dash)
        count = np.maximum(1, np.ceil((end - begin) / longest)).astype(np.intp)
        part = np.repeat(np.arange(len(which)), count)
        place = np.arange(len(part)) - np.repeat(np.cumsum(count) - count, count)
        half = ((end - begin) / count / 2)[part]
        at = begin[part] + (2 * place + 1) * half
        which = which[part]
        middle = trails.start[which] + at[:, None] * units[which]
        pieces = cls(middle, units[which], half, turns[which], trails.labels[which].astype(np.int64))
        if bounds is None:
            return pieces
        first, last = (bound[part] for bound in bounds)
        return replace(pieces, before=at - first, after=last - at)

    def chosen(self, which: NDArray[np.intp]) -> Pieces:
        """Take some of them."""
        bounds = (None if bound is None else bound[which] for bound in (self.before, self.after))
        return Pieces(
            self.middle[which], self.along[which], self.half[which], self.turn[which], self.labels[which], *bounds
        )


def strokes(pieces: Pieces, reach: float, side: LineSide, canvas: Canvas) -> Iterator[Shares]:
    """Draw lines that reach so far from their paths.

    Parameters
    ----------
    pieces : Pieces
        The lines.
    reach : float
        How far, in pixels.
    side : {"in", "out", "on"}
        Where: right of the path, left of it, or both. What lies on the other side may be drawn too.
    canvas : Canvas
        The picture.

    Yields
    ------
    labels, pixels : numpy.ndarray of int64
        The label of a line, and a pixel, counted row by row; in ascending order of both, some labels at a time.
    shares : numpy.ndarray of float64
        How much of the pixel it covers.
    """
    if not len(pieces.labels):
        return
    first = np.flatnonzero(np.diff(pieces.labels, prepend=-1))
    margin = int(reach + pieces.half.max()) + 3
    low = np.floor(np.minimum.reduceat(pieces.middle, first)).astype(np.int64) - margin
    high = np.floor(np.maximum.reduceat(pieces.middle, first)).astype(np.int64) + margin + 1
    area = (high - low).prod(axis=1)
    ends = np.append(first[1:], len(pieces.labels))
    done = 0
    while done < len(first):
        some = slice(done, max(done + 1, int(np.searchsorted(np.cumsum(area), area[:done].sum() + _SHEETS, "right"))))
        sheets = _Sheets(pieces.labels[first[some]], low[some], high[some], np.append(0, np.cumsum(area[some])))
        yield sheets.drawn(pieces.chosen(np.arange(first[some][0], ends[some][-1])), _Nib(reach, side), canvas)
        done = some.stop


@dataclass(frozen=True, slots=True)
class _Nib:
    """What pixels around the middle of a piece its line may cover."""

    reach: float
    side: LineSide

    def kinds(self, pieces: Pieces) -> NDArray[np.intp]:
        """Give pieces numbers, of which those alike cover about the same pixels."""
        long = np.ceil(np.log2(np.maximum(pieces.half + self._bend(pieces), 0.5))).astype(np.intp)
        turned = np.rint(np.arctan2(pieces.along[:, 1], pieces.along[:, 0]) * (_WAYS / 2 / np.pi)).astype(np.intp)
        return long * _WAYS + turned % _WAYS

    def steps(self, pieces: Pieces, kind: int) -> NDArray[np.int32]:
        """Give the steps, x and y, from the pixel of their middle to all that those of a kind cover."""
        half = float(pieces.half.max())
        far = self.reach + half + _DIAGONAL
        long = min(far, half + float(self._bend(pieces).max()) + _DIAGONAL)
        span = int(far)
        y, x = np.mgrid[-span : span + 1, -span : span + 1]
        angle = (kind % _WAYS) * (2 * np.pi / _WAYS)
        ahead, aside = x * np.cos(angle) + y * np.sin(angle), x * np.sin(angle) - y * np.cos(angle)
        skew = np.sin(np.pi / _WAYS)  # of pieces that do not head in quite this direction
        near = (np.hypot(x, y) <= far) & (np.abs(ahead) <= long + skew * self.reach)
        if self.side != "on":
            near &= (aside if self.side == "in" else -aside) <= _DIAGONAL + skew * long
        return np.stack([x[near], y[near]]).astype(np.int32)

    def _bend(self, pieces: Pieces) -> NDArray[np.float64]:
        """Tell how far beyond the end of a piece its line goes, where it turns."""
        return (self.reach + 0.5) * pieces.turn


@dataclass(frozen=True, slots=True)
class _Sheets:
    """Boxes of pixels, one for each of some labels, that lie one after the other; they may go beyond the picture."""

    labels: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def drawn(self, pieces: Pieces, nib: _Nib, canvas: Canvas) -> Shares:
        covered = np.zeros(int(self.offsets[-1]) + 8, np.uint8)
        kinds = nib.kinds(pieces)
        order = np.argsort(kinds, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1):
            steps = nib.steps(pieces.chosen(group), int(kinds[group[0]]))
            count = max(1, _AT_ONCE // steps.shape[1])
            for first in range(0, len(group), count):
                some = pieces.chosen(group[first : first + count])
                share = _covering(some, nib.reach, steps)
                seen = share > _FAINT
                np.maximum.at(covered, self._places(some, steps)[seen], np.rint(share[seen] * 255).astype(np.uint8))
        found = _marked(covered)
        on = np.searchsorted(self.offsets, found, side="right") - 1
        row, column = np.divmod(found - self.offsets[on], (self.high - self.low)[on, 0])
        row, column = row + self.low[on, 1], column + self.low[on, 0]
        width, height = canvas.size
        seen = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return self.labels[on[seen]], (row * width + column)[seen], covered[found[seen]] / 255

    def _places(self, pieces: Pieces, steps: NDArray[np.int32]) -> NDArray[np.int64]:
        """Give the places of all pixels around pieces, one row for each piece."""
        on = np.searchsorted(self.labels, pieces.labels)
        row_length = (self.high - self.low)[on, 0]
        corner = np.floor(pieces.middle).astype(np.int64) - self.low[on]
        places: NDArray[np.int64] = row_length[:, None] * steps[1]
        places += (self.offsets[on] + corner[:, 1] * row_length + corner[:, 0])[:, None]
        places += steps[0]
        return places


def _marked(covered: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Give the places of those above 0 where there are few: eight at a time are looked at first."""
    whole = covered[: covered.size // 8 * 8]
    eights = np.flatnonzero(whole.view(np.uint64))
    which, place = np.nonzero(whole.reshape(-1, 8)[eights])
    return eights[which] * 8 + place


def _covering(pieces: Pieces, reach: float, steps: NDArray[np.int32]) -> NDArray[np.float32]:
    """Tell how much of each pixel around them pieces cover."""
    shift = (np.floor(pieces.middle) + 0.5 - pieces.middle).astype(np.float32)
    along, (x, y) = pieces.along.astype(np.float32), steps.astype(np.float32)
    ux, uy = along[:, :1], along[:, 1:]
    ahead = (shift[:, :1] * ux + shift[:, 1:] * uy) + (ux * x + uy * y)
    aside = (shift[:, :1] * uy - shift[:, 1:] * ux) + (uy * x - ux * y)
    beyond = np.maximum(np.abs(ahead) - pieces.half[:, None].astype(np.float32), 0)
    share = _overlap(np.sqrt(beyond * beyond + aside * aside), -reach, reach)
    if pieces.before is not None and pieces.after is not None:
        back, front = (bound[:, None].astype(np.float32) for bound in (pieces.before, pieces.after))
        share *= _overlap(ahead, -back, front)
    return share


def _overlap(
    at: NDArray[np.float32], low: NDArray[np.float32] | float, high: NDArray[np.float32] | float
) -> NDArray[np.float32]:
    """Give the length that the pixel around a place shares with a span."""
    length: NDArray[np.float32] = np.minimum(at + np.float32(0.5), high) - np.maximum(at - np.float32(0.5), low)
    return np.maximum(length, 0, out=length)


def _turns(paths: NDArray[np.int32], units: NDArray[np.float64], drawn: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give the sine of half the larger angle by which a line turns before or after each piece; 1 where it ends."""
    first = np.flatnonzero(np.diff(paths, prepend=-1))
    after = np.arange(1, len(paths) + 1)
    after[np.append(first, len(paths))[1:] - 1] = first
    cosine = (units * units[after]).sum(axis=1).clip(-1, 1)
    turn = np.where(drawn & drawn[after], np.sqrt((1 - cosine) / 2), 1)
    before = np.empty_like(turn)
    before[after] = turn
    return np.maximum(turn, before)


def _dashed(
    paths: NDArray[np.int32], length: NDArray[np.float64], drawn: NDArray[np.bool_], dash: Dash
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Cut pieces into dashes: which piece each part is of, where it starts and ends in it, and where its dash does."""
    border = np.ones(len(paths) + 1, np.bool_)
    border[1:-1] = paths[1:] != paths[:-1]
    opens = drawn & (border[:-1] | ~np.append(False, drawn[:-1]))
    closes = drawn & (border[1:] | ~np.append(drawn[1:], False))
    run = np.cumsum(opens) - 1  # of the pieces that are drawn
    heads, tails = np.flatnonzero(opens), np.flatnonzero(closes)
    passed = np.cumsum(length) - length
    total = passed[tails] + length[tails] - passed[heads]
    rings = border[heads] & border[tails + 1]  # lines that end where they start
    which = np.flatnonzero(drawn)
    line = run[which]
    start = passed[which] - passed[heads[line]]
    period = dash.drawn + dash.left_out
    first = np.floor(start / period).astype(np.intp)
    count = np.floor((start + length[which]) / period).astype(np.intp) - first + 1
    part = np.repeat(np.arange(len(which)), count)
    number = first[part] + np.arange(len(part)) - np.repeat(np.cumsum(count) - count, count)
    which, line, start = which[part], line[part], start[part]
    opening = number * period
    closing = np.minimum(opening + dash.drawn, total[line])
    begin, end = np.maximum(opening - start, 0), np.minimum(closing - start, length[which])
    kept = end > begin
    # where the last dash of a ring meets its first one, neither ends
    last = np.floor(total / period) * period
    meets = (rings & (last < total) & (total <= last + dash.drawn))[line]
    opening = np.where(meets & (number == 0), opening - dash.drawn, opening)
    closing = np.where(meets & (closing == total[line]), closing + dash.drawn, closing)
    return which[kept], begin[kept], end[kept], ((opening - start)[kept], (closing - start)[kept])
