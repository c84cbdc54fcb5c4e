"""Things worked on several at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from imageryclient.pools import Backlog


def test_a_free_thread_takes_what_waits() -> None:
    taken: list[list[int]] = []
    begun, go = threading.Event(), threading.Event()

    def work(numbers: list[int]) -> list[int | Exception]:
        taken.append(numbers)
        begun.set()
        go.wait(10)
        return [ValueError(str(n)) if n == 5 else 10 * n for n in numbers]

    with ThreadPoolExecutor(1) as threads:
        backlog: Backlog[int, int] = Backlog(work, threads, at_once=4)
        coming = [backlog.add(0)]
        assert begun.wait(10)
        coming += [backlog.add(n) for n in range(1, 8)]
        assert coming[2].cancel()
        go.set()
        wait(coming)
    assert taken == [[0], [1, 3, 4], [5, 6, 7]]
    assert [one.result() for n, one in enumerate(coming) if n not in (2, 5)] == [0, 10, 30, 40, 60, 70]
    with pytest.raises(ValueError, match="5"):
        coming[5].result()


def test_an_error_of_the_work_is_that_of_all_it_took() -> None:
    def work(numbers: list[int]) -> list[int | Exception]:
        raise RuntimeError(f"{len(numbers)} of them")

    with ThreadPoolExecutor(1) as threads:
        backlog: Backlog[int, int] = Backlog(work, threads, at_once=1)
        for one in [backlog.add(n) for n in range(5)]:
            with pytest.raises(RuntimeError, match="1 of them"):
                one.result()


@pytest.mark.parametrize("at_once", [1, 3, 16])
def test_nothing_is_forgotten(at_once: int) -> None:
    with ThreadPoolExecutor(4) as threads:
        backlog: Backlog[int, int] = Backlog(lambda numbers: [n + 1 for n in numbers], threads, at_once)
        assert [one.result(10) for one in [backlog.add(n) for n in range(2000)]] == list(range(1, 2001))
