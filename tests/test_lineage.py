"""What is said of ids that are not there."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta

import pytest

from imageryclient.cave.lineage import AbsentId, Nearest, Share, became
from imageryclient.errors import IdWarning, MissingDataError

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=3, seconds=1)
TWO = (Share(8, 840, 0.84), Share(9, 160, 0.16))


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (AbsentId(7, "unknown"), "7 is no id of this graph"),
        (AbsentId(7, "supervoxel", layer=1), "7 is a supervoxel, not an object (root_ids=None gives supervoxels)"),
        (AbsentId(7, "node", layer=2), "7 is a node of layer 2, a part of an object"),
        (AbsentId(7, "elsewhere"), "7 is valid but not here"),
        (
            AbsentId(7, "elsewhere", nearest=Nearest((64, 640.5, 8), (8, 8, 40), 1234.5)),
            "7 is valid, its nearest part lies about (64, 640.5, 8) in voxels of 8 x 8 x 40 nm, 1.23 µm away",
        ),
        (
            AbsentId(7, "elsewhere", nearest=Nearest((64, 64, 8), (8, 8, 40), 0)),
            "7 is valid, its nearest part lies about (64, 64, 8) in voxels of 8 x 8 x 40 nm, in a chunk that reaches "
            "into the box",
        ),
        (
            AbsentId(7, "retired", NOON, LATER, successors=TWO),
            "7 was valid from 2024-05-01 12:00:00 UTC until 2024-05-01 15:00:01 UTC, its voxels here belong to 8 (84 "
            "%) and 9 (16 %)",
        ),
        (
            AbsentId(7, "retired", NOON, LATER),
            "7 was valid from 2024-05-01 12:00:00 UTC until 2024-05-01 15:00:01 UTC",
        ),
        (AbsentId(7, "retired", NOON, successors=TWO[:1]), "7 is no longer valid, its voxels here belong to 8"),
        (
            AbsentId(7, "unborn", NOON, successors=(Share(8, 3, 1.0),)),
            "7 is only valid from 2024-05-01 12:00:00 UTC on, its voxels here belong to 8",
        ),
    ],
)
def test_words(one: AbsentId, words: str) -> None:
    assert str(one) == words
    assert one.stale == (one.reason in ("retired", "unborn"))


def test_shares_are_never_rounded_to_nothing_or_all() -> None:
    shares = [Share(1, 9990, 0.999), Share(2, 9, 0.0009), Share(3, 1, 0.0001)]
    assert became([AbsentId(7, "retired", successors=tuple(shares))]) == (
        "7 by 1 (over 99 %), 2 (under 1 %) and 3 (under 1 %)"
    )
    many = tuple(Share(n, 10, 0.1) for n in range(10))
    assert became([AbsentId(7, "retired", successors=many)]).endswith("3 (10 %) and 6 more")


def test_a_place_in_nm() -> None:
    assert Nearest((64, 10, 8), (4, 4, 40), 0.0).nm == (256, 40, 320)


def test_warnings_and_errors_keep_what_they_know() -> None:
    ids = (AbsentId(7, "unknown"), AbsentId(8, "retired", NOON, LATER, successors=TWO))
    warning, error = IdWarning("words"), MissingDataError("words")
    assert warning.absent == warning.stale == error.absent == ()
    warning.absent = error.absent = ids
    for kept in (pickle.loads(pickle.dumps(warning)), copy.copy(warning)):
        assert kept.absent == ids
        assert kept.stale == ids[1:]
    assert pickle.loads(pickle.dumps(error)).absent == ids
