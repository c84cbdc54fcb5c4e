from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageryclient.cloudpath import CloudPath, cloudvolume_path, file_path, parse_source
from imageryclient.errors import SourceError

TABLE = "https://minnie.microns-daf.com/segmentation/table/minnie3_v1"
STATE = '{"layers":[{"name":"em","source":"precomputed://gs://bucket/em"},{"name":"mine","source":"local://x"}]}'

# source: format, url, then what is not empty of middleauth, endpoint, inner
SERVERS: dict[str, tuple[Any, ...]] = {
    # CloudVolume's forms, and Neuroglancer's old ones
    "precomputed://gs://bucket/em": ("precomputed", "gs://bucket/em"),
    "precomputed://s3://bucket/em": ("precomputed", "s3://bucket/em"),
    "precomputed://https://example.org/em": ("precomputed", "https://example.org/em"),
    "precomputed://middleauth+https://example.org/em": ("precomputed", "https://example.org/em", True),
    "zarr://gs://bucket/em.zarr": ("zarr", "gs://bucket/em.zarr"),
    "zarr2://gs://bucket/em.zarr/0": ("zarr2", "gs://bucket/em.zarr/0"),
    "zarr3://https://example.org/em.zarr": ("zarr3", "https://example.org/em.zarr"),
    "zarr://middleauth+https://example.org/em": ("zarr", "https://example.org/em", True),
    "n5://s3://bucket/em.n5/raw": ("n5", "s3://bucket/em.n5/raw"),
    f"graphene://{TABLE}": ("graphene", TABLE, True),
    f"graphene://middleauth+{TABLE}": ("graphene", TABLE, True),
    f"graphene://{TABLE}/": ("graphene", TABLE, True),
    f"graphene://{TABLE}/info": ("graphene", TABLE, True),
    # no format: to be found by looking
    "gs://bucket/em": ("", "gs://bucket/em"),
    "gs://bucket": ("", "gs://bucket"),
    "s3://bucket/a/b": ("", "s3://bucket/a/b"),
    "https://example.org/em": ("", "https://example.org/em"),
    "http://127.0.0.1:8080/em": ("", "http://127.0.0.1:8080/em"),
    "http://[::1]:8080/em": ("", "http://[::1]:8080/em"),
    "middleauth+https://example.org/em": ("", "https://example.org/em", True),
    "https://storage.googleapis.com/bucket/em": ("", "https://storage.googleapis.com/bucket/em"),
    "https://bucket.s3.amazonaws.com/em": ("", "https://bucket.s3.amazonaws.com/em"),
    "https://s3.eu-west-1.amazonaws.com/bucket/em": ("", "https://s3.eu-west-1.amazonaws.com/bucket/em"),
    "https://uk1s3.embassy.ebi.ac.uk/idr/zarr/v0.4/idr0062A/6001240.zarr": (
        "", "https://uk1s3.embassy.ebi.ac.uk/idr/zarr/v0.4/idr0062A/6001240.zarr"),
    # Neuroglancer's and TensorStore's pipes
    "gs://bucket/em/|neuroglancer-precomputed:": ("precomputed", "gs://bucket/em"),
    "gs://bucket/em/|precomputed:": ("precomputed", "gs://bucket/em"),
    "gs://bucket/em.zarr/|zarr:": ("zarr", "gs://bucket/em.zarr"),
    "https://example.org/em.zarr/|zarr2:": ("zarr2", "https://example.org/em.zarr"),
    "s3://bucket/em.zarr/|zarr3:": ("zarr3", "s3://bucket/em.zarr"),
    "s3://bucket/em.zarr/|zarr3": ("zarr3", "s3://bucket/em.zarr"),
    "s3://bucket/em.zarr|zarr3:sub/array": ("zarr3", "s3://bucket/em.zarr", False, None, "sub/array"),
    "s3://bucket/em.n5/|n5:raw/my%20stack/": ("n5", "s3://bucket/em.n5", False, None, "raw/my stack"),
    "gs://bucket/em/|zarr2:#dimension_separator=/": ("zarr2", "gs://bucket/em"),
    "gs://bucket/em/|neuroglancer-precomputed:#type=mesh": ("precomputed", "gs://bucket/em"),
    "gs://bucket/em/|neuroglancer-precomputed:sub em": ("precomputed", "gs://bucket/em/sub%20em"),
    "gs://bucket/em/|auto:": ("", "gs://bucket/em"),
    "gs://bucket/em/|auto:sub": ("", "gs://bucket/em/sub"),
    # what to choose of a zarr
    "gs://bucket/em/|zarr3:a/b#c=1&resolution=4,4,40": (
        "zarr3", "gs://bucket/em", False, None, "a/b#c=1&resolution=4,4,40"),
    "zarr://gs://bucket/em#c=1&dimension_separator=/": ("zarr", "gs://bucket/em", False, None, "#c=1"),
    "n5://https://example.org/em/#axes=zyx": ("n5", "https://example.org/em", False, None, "#axes=zyx"),
    "gs://bucket/em#c=1": ("", "gs://bucket/em", False, None, "#c=1"),
    "middleauth+https://example.org/em/|zarr3:": ("zarr3", "https://example.org/em", True),
    "zarr3://gs://bucket/em/|zarr3:a": ("zarr3", "gs://bucket/em", False, None, "a"),
    # servers that are compatible with a cloud's
    "s3+https://s3.example.org/bucket/em": ("", "s3://bucket/em", False, "https://s3.example.org"),
    "s3+http://localhost:9000/bucket/em": ("", "s3://bucket/em", False, "http://localhost:9000"),
    "s3://https://S3.example.org/bucket/em/": ("", "s3://bucket/em", False, "https://s3.example.org"),
    "precomputed://s3://http://localhost:9000/bucket": ("precomputed", "s3://bucket", False, "http://localhost:9000"),
    "n5://s3+https://s3.example.org/b/p": ("n5", "s3://b/p", False, "https://s3.example.org"),
    "gs+xml+https://gs.example.org/bucket/em": ("", "gs://bucket/em", False, "https://gs.example.org"),
    "s3://https-bucket/em": ("", "s3://https-bucket/em"),
    # Google's by other names
    "gs+xml://bucket/em": ("", "gs://bucket/em"),
    "gs+ngauth+https://ngauth.example.org/bucket/em": ("", "gs://bucket/em"),
    "precomputed://gs+xml+ngauth+https://ngauth.example.org/bucket/em": ("precomputed", "gs://bucket/em"),
    # Azure
    "az://account/container/em/": ("", "az://account/container/em"),
    "zarr2://azure://account/container": ("zarr2", "az://account/container"),
    "abfs://container@account.dfs.core.windows.net/a/b": ("", "az://account/container/a/b"),
    "abfss://container@account.dfs.core.windows.net/a": ("", "az://account/container/a"),
    "wasbs://container@account.blob.core.windows.net": ("", "az://account/container"),
    "https://account.blob.core.windows.net/container/em": ("", "https://account.blob.core.windows.net/container/em"),
    # slashes, blanks, letters
    "precomputed://https://example.org/em//": ("precomputed", "https://example.org/em"),
    "https://example.org/": ("", "https://example.org"),
    "  gs://bucket/em \n": ("", "gs://bucket/em"),
    "\u00a0gs://bucket/em\u200b": ("", "gs://bucket/em"),
    "PRECOMPUTED://GS://Bucket/EM": ("precomputed", "gs://Bucket/EM"),
    "HTTPS://Example.ORG/Em": ("", "https://example.org/Em"),
    "gs://bucket/a/./b/../em": ("", "gs://bucket/a/em"),
    "gs://bucket/../../em": ("", "gs://bucket/em"),
    # percent-encoding: as it is, and where it is needed
    "gs://bucket/my em": ("", "gs://bucket/my%20em"),
    "gs://bucket/my%20em": ("", "gs://bucket/my%20em"),
    "gs://bucket/50%": ("", "gs://bucket/50%25"),
    "gs://bucket/a%23b%3Fc": ("", "gs://bucket/a%23b%3Fc"),
    "https://example.org/größe": ("", "https://example.org/gr%C3%B6%C3%9Fe"),
    "https://München.example.org/em": ("", "https://xn--mnchen-3ya.example.org/em"),
    "https://example.org/~me/em:1,2;x=3&y": ("", "https://example.org/~me/em:1,2;x=3&y"),
    # how to show it
    "https://example.org/em#type=segmentation": ("", "https://example.org/em", False, None, "#type=segmentation"),
    "https://example.org/em?#": ("", "https://example.org/em"),
    "precomputed://gs://bucket/em#cross_section=1&a=b": ("precomputed", "gs://bucket/em"),
    "zarr://gs://bucket/em/?dimension_separator=/": ("zarr", "gs://bucket/em"),
    # documents stand for their folder
    "https://example.org/em/info": ("precomputed", "https://example.org/em"),
    "precomputed://https://example.org/em/info": ("precomputed", "https://example.org/em"),
    "s3://bucket/em.zarr/zarr.json": ("zarr3", "s3://bucket/em.zarr"),
    "zarr://s3://bucket/em.zarr/zarr.json": ("zarr", "s3://bucket/em.zarr"),
    "https://example.org/em.zarr/0/.zarray": ("zarr2", "https://example.org/em.zarr/0"),
    "gs://bucket/em.n5/attributes.json": ("n5", "gs://bucket/em.n5"),
    "gs://bucket/info": ("precomputed", "gs://bucket"),
    "gs://info": ("", "gs://info"),
    "https://example.org/info/": ("", "https://example.org/info"),
    "https://example.org/stack.tif/": ("", "https://example.org/stack.tif"),
    "precomputed://https://example.org/stack.tif": ("precomputed", "https://example.org/stack.tif"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), SERVERS.items(), ids=SERVERS)
def test_sources_on_servers(source: str, expected: tuple[Any, ...]) -> None:
    path = parse_source(source)
    assert (path.format, path.url, path.middleauth, path.endpoint, path.inner) == (
        *expected,
        *(False, None, "")[len(expected) - 2 :],
    )
    assert path.folder is None
    assert str(path) == path.source == source.strip("\u00a0\u200b \n")


@pytest.mark.parametrize("source", SERVERS, ids=SERVERS)
def test_what_was_taken_apart_stays_as_it_is(source: str) -> None:
    path = parse_source(source)
    again = parse_source(f"{path.format}://{path.place}/" if path.format else f"{path.place}/")
    assert (again.format, again.url, again.middleauth, again.endpoint) == (
        path.format,
        path.url,
        path.middleauth,
        path.endpoint,
    )


@pytest.mark.parametrize(
    ("source", "host"),
    [
        ("https://Example.org:8080/em", "example.org:8080"),
        ("gs://bucket/em", "storage.googleapis.com"),
        ("s3://bucket/em", "bucket.s3.amazonaws.com"),
        ("az://account/container/em", "account.blob.core.windows.net"),
        ("s3+https://s3.example.org:9000/bucket/em", "s3.example.org:9000"),
        (f"graphene://{TABLE}", "minnie.microns-daf.com"),
        ("/data/em", ""),
        (r"\\server\share\em", ""),
    ],
)
def test_hosts(source: str, host: str) -> None:
    assert parse_source(source).host == host


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = tmp_path / "my volume%20 (1)#2 ?=é"
    for source in (
        volume,
        str(volume),
        f"{volume}/",
        f"precomputed://{volume}",
        volume.as_uri(),
        f"precomputed://{volume.as_uri()}",
        f"{volume}/|zarr3:",
        f"{volume.as_uri()}|zarr3:",
    ):
        path = parse_source(source)
        assert path.folder == volume
        assert path.url == volume.as_uri()
        assert path.host == ""
        assert file_path(path.url) == volume
    monkeypatch.chdir(tmp_path)
    assert parse_source(volume.name).folder == volume
    assert parse_source(f"./{volume.name}").folder == volume
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert parse_source("~/em").folder == tmp_path / "em"
    path = parse_source("~/em/|zarr2:raw")
    assert (path.format, path.folder, path.inner) == ("zarr2", tmp_path / "em", "raw")


def test_file_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    root = tmp_path.as_posix()
    slash = "" if root.startswith("/") else "/"
    for source, name in {
        f"file://{slash}{root}/em": "em",
        f"file:{slash}{root}/em": "em",
        f"file://localhost{slash}{root}/em/": "em",
        f"file://{slash}{root}/a#b?c": "a#b?c",  # as CloudVolume takes it: no part of it is for display
        f"file://{slash}{root}/a%23b%20c": "a#b c",
        "file://./em": "em",
        "file://~/em": "em",
        f"n5://file://{slash}{root}/em": "em",
    }.items():
        assert parse_source(source).folder == tmp_path / name, source


@pytest.mark.skipif(os.name == "nt", reason="file://server/share is what Windows writes")
def test_relative_file_addresses_are_as_in_cloudvolume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_source("file://sub/em").folder == tmp_path / "sub" / "em"
    assert parse_source("/data/a|b").folder == Path("/data/a|b")
    assert parse_source("/").folder == Path("/")


@pytest.mark.parametrize(
    ("source", "url"),
    [
        (r"C:\data\my vol", "file:///C:/data/my%20vol"),
        ("C:\\data\\vol\\", "file:///C:/data/vol"),
        ("C:/data/vol/", "file:///C:/data/vol"),
        ("d:/100%/a#b", "file:///d:/100%25/a%23b"),
        (r"precomputed://C:\data\vol", "file:///C:/data/vol"),
        ("file:///C:/data/my%20vol", "file:///C:/data/my%20vol"),
        (r"file://C:\data\vol", "file:///C:/data/vol"),
        (r"\\server\share\vol", "file://server/share/vol"),
        (r"zarr://\\server\share\vol", "file://server/share/vol"),
        (r"C:\data\em.zarr|zarr2:", "file:///C:/data/em.zarr"),
    ],
)
def test_folders_of_windows(source: str, url: str) -> None:
    path = parse_source(source)
    assert path.url == url
    if os.name == "nt":
        assert path.folder is not None
        assert path.folder.is_absolute()


REFUSED = {
    "": "must be a text",
    "  ": "must be a text",
    "gs://bucket/em\ngs://bucket/seg": "one source, on one line",
    # places
    "precomputed://ftp://example.org/em": "ftp:// is neither a format nor a place",
    "graphene://gs://bucket/em": "CAVE server",
    "graphene:///data/em": "CAVE server",
    "precomputed://gs://": "names no bucket; write gs://BUCKET/PATH",
    "s3+https://s3.example.org": "names no bucket",
    "gs://my bucket/em": "no bucket can have this name",
    "https:///em": "names no server",
    "https://example.org:port/em": "no address of a server",
    "https://[example.org/em": "no address of a server",
    "precomputed://": "names no place",
    "middleauth+gs://bucket/em": "stands before https:// alone",
    "az://container-name/em": "az://ACCOUNT/CONTAINER/PATH",
    "az://account": "az://ACCOUNT/CONTAINER/PATH",
    "abfs://container/em": "does not name the storage account; write az://ACCOUNT/CONTAINER/PATH",
    "gs:/bucket/em": "lacks a slash after gs:/, as pathlib.Path drops it",
    "precomputed:/gs:/bucket/em": "lacks a slash",
    "~nobody-of-this-name/em": "whole path",
    # aliases of CloudFiles
    "matrix://bucket/em": "write it out: s3://https://s3-hpcrc.rc.princeton.edu/bucket/em",
    "precomputed://tigerdata://bucket/em": "write it out: s3://https://td.princeton.edu/bucket/em",
    "nokura://bucket/em": "write it out: s3://https://c10s.pni.princeton.edu/bucket/em",
    "myalias://bucket/em": "alias of CloudFiles, write its server out: s3://https://SERVER/BUCKET/PATH",
    "precomputed://ngauth+https://example.org/em": "write gs://BUCKET/PATH",
    # formats
    "precomputed://zarr://gs://bucket/em": "names two formats",
    "zarr2://gs://bucket/em/|zarr3:": "names two formats, zarr2 and zarr3",
    "gs://bucket/em|zarr3:|n5:": "names 2 formats",
    "gs://bucket/em|tiff:": "what follows the | is no format that is read here",
    "gs://bucket/em|": "what follows the | is no format",
    "gs://bucket/em.zip|zip:em.zarr/|zarr3:": "zip file, which this package does not read; unpack it",
    "gs://bucket/em/|ocdbt:": "OCDBT",
    "gs://bucket/em/|icechunk:": "Icechunk",
    "gs://bucket/em.nii.gz|nifti:": "NIfTI file, which this package does not read; read it into an array",
    "boss://https://api.bossdb.io/em": "BossDB",
    "brainmaps://1:2:3": "BrainMaps service",
    "dvid://https://example.org/abc/em": "DVID service",
    "deepzoom://https://example.org/em.dzi": "tiles",
    "render://https://example.org/em": "Render service",
    "nggraph://em": "nggraph",
    "nifti://gs://bucket/em.nii": "NIfTI file",
    "vtk://https://example.org/a.vtk": "VTK",
    "local://annotations": "Neuroglancer link alone",
    "python://volume/abc": "give the array itself",
    "mem://bucket/em": "give the array itself",
    # files of other kinds
    "https://example.org/em.png": "a picture by its name",
    "gs://bucket/stack.ome.tif": "a TIFF file by its name",
    "https://example.org/a.JPEG": "a picture",
    "s3://bucket/em.zarr.zip": "an archive by its name, not a volume; unpack it",
    "https://example.org/em.h5": "read it into an array",
    "https://example.org/index.html": "a web page",
    # queries and fragments that are not for display
    "https://example.org/em?version=2": "would have to go with every request",
    "gs://bucket/em?a=b": "after \\?",
    "gs://bucket/my#em": "a # within a name is written %23",
    "gs://bucket/em/|zarr3:sub#array": "written %23",
    # views
    f"https://neuroglancer-demo.appspot.com/#!{STATE}": "link to a view.*one of its layers: em: 'precomputed://gs://bu",
    "https://ng.example.org/#!%7B%22layers%22%3A%7B%22em%22%3A%7B%22source%22%3A%22gs%3A//b/em%22%7D%7D%7D": "em: 'gs:",
    '{"layers":[{"name":"em","source":[{"url":"gs://bucket/em"}]}]}': "state of a view.*em: 'gs://bucket/em'",
    '{"layers":[]}': "state of a view",
    "https://ng.example.org/#!gs://bucket/state.json": "link to a view.*from_neuroglancer.*Source tab",
    "https://spelunker.cave-explorer.org/#!middleauth+https://global.daf-apis.com/nglstate/api/v1/5": "link to a view",
    "https://ng.example.org/?json_url=https://global.daf-apis.com/nglstate/5": "link to a view",
    "https://global.daf-apis.com/nglstate/api/v1/5": "link to a view",
    # pages about buckets
    "https://console.cloud.google.com/storage/browser/bucket/a/em;tab=objects?project=x": "address: gs://bucket/a/em$",
    "https://storage.cloud.google.com/bucket/em": "address: gs://bucket/em$",
    "https://s3.console.aws.amazon.com/s3/buckets/bucket?region=us-east-1&prefix=a/em/": "address: s3://bucket/a/em$",
    "https://us-east-1.console.aws.amazon.com/s3/home": "address: s3://BUCKET/PATH",
    "https://portal.azure.com/#blade": "address: az://ACCOUNT",
}


@pytest.mark.parametrize(("source", "words"), REFUSED.items(), ids=REFUSED)
def test_sources_that_name_nothing_are_refused(source: str, words: str) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        parse_source(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", [None, 3, b"gs://bucket/em", ["gs://bucket/em"]])
def test_what_is_no_text_is_refused(source: Any) -> None:
    with pytest.raises(SourceError, match="must be a text"):
        parse_source(source)


@pytest.mark.parametrize(
    "source",
    [
        "https://me:verysecret@example.org/em",
        "precomputed://https://me:verysecret@example.org/em",
        "s3+https://me:verysecret@example.org/bucket/em",
        "ftp://me:verysecret@example.org/em",
        "https://example.org/em?token=verysecret",
        "https://example.org/em?a=b&sig=verysecret#x",
        "boss://me:verysecret@example.org/em?sig=verysecret",
        "https://me:verysecret@example.org/#!{}",
        "https://me:very/secret/verysecret@example.org/em",
        "https://me:1/verysecret@example.org/em?a=1#!{}",
        "https://me:very|verysecret@example.org/em",
        "https://me:verysecret@more:verysecret@example.org/em",
        "gs://me:verysecret@bucket/em",
        "https://me:verysecret#verysecret@example.org/em",
        "https://me:verysecret?verysecret@example.org/em",
        "s3://me:verysecret@bucket/em|zarr9:?b=verysecret",
        "https://example.org/em?sig=verysecret|foo:",
    ],
)
def test_a_secret_in_a_source_is_refused_and_not_repeated(source: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_source(source)
    assert "verysecret" not in str(caught.value)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text_is_taken_apart_or_refused(text: str) -> None:
    try:
        path = parse_source(text)
    except SourceError:
        return
    assert path.url.isascii()
    assert path.url.startswith(("file:", "https://", "http://", "gs://", "s3://", "az://"))


@given(
    st.sampled_from(
        ["gs://bucket/", "s3+https://example.org/bucket/", "https://example.org/", "zarr3://az://acc/con/"]
    ),
    st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_any_address_is_taken_apart_or_refused(start: str, rest: str) -> None:
    try:
        path = parse_source(start + rest)
    except SourceError:
        return
    assert path.url.isascii()
    assert parse_source(path.url + "/").url == path.url


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("gs://bucket/em", "gs://bucket/em"),
        ("precomputed://gs://bucket/my%20em/", "precomputed://gs://bucket/my em"),
        ("gs://bucket/em/|neuroglancer-precomputed:", "precomputed://gs://bucket/em"),
        ("gs+xml://bucket/em", "gs://bucket/em"),
        ("s3+https://s3.example.org/bucket/em", "s3://https://s3.example.org/bucket/em"),
        ("zarr3://s3://http://localhost:9000/b/em", "zarr3://s3://http://localhost:9000/b/em"),
        ("https://example.org/em.zarr/|zarr2:a b/0#c=1", "zarr2://https://example.org/em.zarr/a%20b/0"),
        ("middleauth+https://example.org/em", "middleauth+https://example.org/em"),
        (f"graphene://middleauth+{TABLE}/", f"graphene://{TABLE}"),
        ("https://example.org/em/info", "precomputed://https://example.org/em"),
    ],
)
def test_what_cloudvolume_is_given(source: str, expected: str) -> None:
    assert cloudvolume_path(parse_source(source)) == expected


def test_what_cloudvolume_is_given_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my em"
    assert cloudvolume_path(parse_source(folder)) == f"file://{folder}"
    assert cloudvolume_path(parse_source(f"{folder.as_uri()}|zarr2:s0")) == f"zarr2://file://{folder}/s0"


@pytest.mark.parametrize("source", ["az://account/container/em", "gs+https://gs.example.org/bucket/em"])
def test_what_cloudvolume_does_not_read(source: str) -> None:
    with pytest.raises(SourceError, match="CloudVolume does not read"):
        cloudvolume_path(parse_source(source))


def test_paths_are_values() -> None:
    assert parse_source("gs://bucket/em") == CloudPath("", "gs://bucket/em", False, "gs://bucket/em")
    assert len({parse_source("gs://bucket/em"), parse_source("gs://bucket/em")}) == 1
