from __future__ import annotations

from pathlib import Path

import pytest

from imageryclient.cloudpath import file_path, parse_source
from imageryclient.errors import SourceError

BUCKET = "https://storage.googleapis.com/bucket"
TABLE = "https://minnie.microns-daf.com/segmentation/table/minnie3_v1"


@pytest.mark.parametrize(
    ("source", "layout", "url", "middleauth"),
    [
        ("precomputed://gs://bucket/em", "precomputed", f"{BUCKET}/em", False),
        ("gs://bucket/em/", "precomputed", f"{BUCKET}/em", False),
        ("gs://bucket", "precomputed", BUCKET, False),
        ("s3://bucket/a/b", "precomputed", "https://bucket.s3.amazonaws.com/a/b", False),
        ("precomputed://https://example.org/em//", "precomputed", "https://example.org/em", False),
        ("http://127.0.0.1:8080/em", "precomputed", "http://127.0.0.1:8080/em", False),
        ("middleauth+https://example.org/em", "precomputed", "https://example.org/em", True),
        ("precomputed://middleauth+https://example.org/em", "precomputed", "https://example.org/em", True),
        (f"graphene://{TABLE}", "graphene", TABLE, True),
        (f"graphene://middleauth+{TABLE}", "graphene", TABLE, True),
        ("  gs://bucket/em  ", "precomputed", f"{BUCKET}/em", False),
        ("PRECOMPUTED://GS://bucket/em", "precomputed", f"{BUCKET}/em", False),
    ],
)
def test_sources_on_servers(source, layout, url, middleauth) -> None:
    path = parse_source(source)
    assert (path.format, path.url, path.middleauth) == (layout, url, middleauth)
    assert path.folder is None


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = tmp_path / "my volume%20 (1)"
    volume.mkdir()
    for source in (
        volume,
        str(volume),
        f"{volume}/",
        f"precomputed://{volume}",
        volume.as_uri(),
        f"precomputed://{volume.as_uri()}",
    ):
        path = parse_source(source)
        assert path.folder == volume
        assert path.host == ""
    monkeypatch.chdir(tmp_path)
    assert parse_source(volume.name).folder == volume
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert parse_source(f"~/{volume.name}").folder == volume
    assert file_path(volume.as_uri()) == volume


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "must be a text"),
        (None, "must be a text"),
        (3, "must be a text"),
        ("zarr://gs://bucket/em", "does not read"),
        ("gs://bucket/em|zarr3:", "does not read"),
        ("precomputed://ftp://example.org/em", "ftp"),
        ("graphene://gs://bucket/em", "CAVE server"),
        ("precomputed://gs://", "no bucket"),
        ("https:///em", "no server"),
        ("precomputed://", "no place"),
    ],
)
def test_sources_that_name_nothing_are_refused(source, words) -> None:
    with pytest.raises(SourceError, match=words):
        parse_source(source)


def test_a_password_in_a_source_is_refused_and_not_repeated() -> None:
    with pytest.raises(SourceError) as caught:
        parse_source("https://me:verysecret@example.org/em")
    assert "verysecret" not in str(caught.value)
