from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageryclient.cache import ABSENT, ByteCache, Payload
from imageryclient.coverage import Coverage, outside_of
from imageryclient.geometry import Box
from imageryclient.pools import together

AT = (8.0, 8.0, 40.0)


@st.composite
def boxes(draw: st.DrawFn, at=AT) -> Box:
    start = tuple(draw(st.integers(-6, 6)) for _ in range(3))
    return Box(start, tuple(a + draw(st.integers(1, 8)) for a in start), at)


@given(boxes(), boxes())
def test_outside_parts_are_disjoint_and_make_up_the_rest(box: Box, bounds: Box) -> None:
    count = np.zeros(box.shape, int)
    for part in outside_of(box, bounds):
        count[part.slices(box)] += 1
    inside = box.intersect(bounds)
    if inside.voxels:
        count[inside.slices(box)] += 1
    assert np.all(count == 1)


@given(boxes(), boxes(), st.sampled_from([(8, 8, 40), (4, 4, 40), (16, 12, 20), (3, 5, 100)]))
def test_coverage_on_any_grid_is_that_of_each_centre(box: Box, bounds: Box, at) -> None:
    coverage = Coverage(box, outside_of(box, bounds))
    fine = coverage.on(box.at(tuple(map(float, at))))
    mask = fine.mask()
    for place in np.ndindex(mask.shape):
        centre = [(s + n + 0.5) * r for s, n, r in zip(fine.box.start, place, at, strict=True)]
        stored = [int(c // r) for c, r in zip(centre, AT, strict=True)]
        inside_box = all(a <= v < b for v, a, b in zip(stored, box.start, box.stop, strict=True))
        inside = all(a <= v < b for v, a, b in zip(stored, bounds.start, bounds.stop, strict=True))
        assert not inside_box or mask[place] == inside
    assert fine.fraction == pytest.approx(mask.mean())


def test_coverage_says_in_words_what_is_missing() -> None:
    box = Box((0, 0, 0), (10, 10, 1), AT)
    outside, absent = Box((0, 0, 0), (10, 1, 1), AT), Box((0, 5, 0), (10, 10, 1), AT)
    coverage = Coverage(box, (outside,), (absent,))
    assert (
        coverage.describe()
        == "10 % of its voxels lie outside the data and 50 % of its voxels lie in a chunk that was never written"
    )
    assert Coverage(box).complete
    assert Coverage(box).describe() == ""


def test_the_cache_keeps_to_its_limit_and_lets_the_oldest_go() -> None:
    cache = ByteCache(limit=3000)
    for name in "abcd":
        cache.put(name, Payload(bytes(800)))
        cache.get("a")
    assert cache.get("a") is not None
    assert cache.get("b") is None
    assert cache.size <= 3000
    cache.put("huge", Payload(bytes(4000)))
    assert cache.get("huge") is None
    assert cache.get("a") is not None
    cache.put("none", ABSENT)
    assert cache.get("none") == ABSENT
    cache.discard("none")
    cache.clear()
    assert (len(cache), cache.size) == (0, 0)


def test_the_cache_counts_right_under_threads() -> None:
    cache = ByteCache(limit=50_000)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(500):
            name = int(rng.integers(100))
            if rng.random() < 0.5:
                cache.put(name, Payload(bytes(int(rng.integers(1, 2000)))))
            elif rng.random() < 0.1:
                cache.discard(name)
            else:
                cache.get(name)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert 0 < cache.size <= cache.limit
    for name in range(100):
        cache.discard(name)
    assert (len(cache), cache.size) == (0, 0)


def test_calls_together_all_end_and_the_first_error_is_raised() -> None:
    done = []

    def fail(name: str) -> None:
        done.append(name)
        raise ValueError(name)

    with pytest.raises(ValueError, match="first"):
        together(lambda: done.append("good"), lambda: fail("first"), lambda: fail("second"))
    assert sorted(done) == ["first", "good", "second"]
    assert together() == []
