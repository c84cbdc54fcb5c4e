"""Web servers as they are: redirects, proxies, certificates, no ranges, no lengths, busy ones; and tokens kept."""

from __future__ import annotations

import gzip
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.cave.rest import Rest
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import AccessError, FormatError, NotFoundError, StorageError, StorageTimeoutError
from imageryclient.scales import Sharding
from imageryclient.storage import Patience, WebStore, masked, open_store
from scripted import Answer, Asked, Scripted, proxy, scripted

TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
QUICK = Patience(timeout=2.0, connect_timeout=1.0)
EM = np.asfortranarray(np.random.default_rng(8).integers(1, 256, (50, 41, 13), dtype=np.uint8))
Make = Callable[..., Scripted]


@pytest.fixture
def serve() -> Iterator[Make]:
    """Makes servers that end with the test."""
    with ExitStack() as stack:
        yield lambda answer, context=None: stack.enter_context(scripted(answer, context))


# ---- redirects --------------------------------------------------------------------------------------------------


def here(asked: Asked) -> Answer:
    return Answer(body=b"here")


def redirected(target: str) -> Callable[[Asked], Answer]:
    return lambda asked: (
        here(asked) if asked.path.startswith("/x") else Answer(302, headers={"Location": f"{target}/x{asked.path}"})
    )


def test_a_token_stays_behind_where_a_redirect_leads_away(serve: Make) -> None:
    other = serve(here)
    for target in (other.url, other.url.replace("127.0.0.1", "localhost")):
        first = serve(redirected(target))
        for span in (None, (1, 3)):
            store = WebStore(f"{first.url}/em", TOKEN, QUICK)
            got = store.get("a") if span is None else store.get_range("a", *span)
            assert got.data == (b"here" if span is None else b"er")
        assert all(asked.headers["authorization"] == f"Bearer {TOKEN}" for asked in first.asked)
        assert other.asked
        assert not any("authorization" in asked.headers for asked in other.asked)
        assert not any(TOKEN in str(asked) for asked in other.asked)


def test_a_token_goes_along_within_its_server(serve: Make) -> None:
    first = serve(lambda asked: here(asked) if asked.path.startswith("/x") else Answer(302, headers={"Location": "/x"}))
    assert WebStore(f"{first.url}/em", TOKEN, QUICK).get("a").data == b"here"
    assert [asked.headers["authorization"] for asked in first.asked] == [f"Bearer {TOKEN}"] * 2


def test_a_token_is_not_sent_in_the_clear(serve: Make, authority: Any) -> None:
    clear = serve(here)
    first = serve(redirected(clear.url), authority.context)
    assert WebStore(f"{first.url}/em", TOKEN, QUICK).get("a").data == b"here"
    assert "authorization" in first.asked[0].headers
    assert "authorization" not in clear.asked[0].headers


def test_certificates_are_checked_wherever_a_token_is_sent(serve: Make, own_authority: Any) -> None:
    unknown = serve(here, own_authority.context)
    first = serve(redirected(unknown.url))
    with pytest.raises(StorageError, match="certificate is not trusted"):
        WebStore(f"{first.url}/em", TOKEN, QUICK).get("a")
    assert not unknown.asked


def test_answers_taken_directly_keep_tokens_too(serve: Make) -> None:
    other = serve(lambda asked: Answer(body=b"here", length=None))
    first = serve(redirected(other.url))
    assert WebStore(f"{first.url}/em", TOKEN, QUICK).get("a").data == b"here"
    assert "authorization" in first.asked[-1].headers
    assert not any("authorization" in asked.headers for asked in other.asked)


def test_redirects_without_end(serve: Make) -> None:
    server = serve(lambda asked: Answer(302, headers={"Location": f"{asked.path}a"}))
    begun = time.perf_counter()
    with pytest.raises(StorageError, match="redirects without end"):
        WebStore(f"{server.url}/em", None, QUICK).get("a")
    assert time.perf_counter() - begun < 5
    assert len(server.asked) < 100


# ---- answers of other kinds -------------------------------------------------------------------------------------


def layer(folder: Path, **options: Any) -> tuple[Path, np.ndarray]:
    layout = Layout(resolution=(8, 8, 40), chunk_size=(20, 16, 8), **options)
    return write_precomputed(folder / "em", [(EM, layout)], kind="image"), EM


def files(folder: Path, change: Callable[[Asked, bytes], Answer]) -> Callable[[Asked], Answer]:
    """Answers with the files of a folder, as `change` has it."""

    def answer(asked: Asked) -> Answer:
        file = folder / asked.path.lstrip("/")
        return change(asked, file.read_bytes()) if file.is_file() else Answer(404)

    return answer


def whole(url: str, **options: Any) -> np.ndarray:
    return ic.ImageryClient(image_source=url, timeout=5.0, **options).image_cutout([[0, 0, 0], EM.shape])


SHARDED = Sharding(1, "identity", 1, 1, "gzip", "raw")


@pytest.mark.parametrize("sharding", [None, SHARDED], ids=["files", "sharded"])
@pytest.mark.parametrize("length", [-1, None], ids=["length", "chunked"])
def test_servers_that_know_no_ranges(tmp_path: Path, serve: Make, sharding: Any, length: int | None) -> None:
    folder, em = layer(tmp_path, sharding=sharding)
    server = serve(
        files(folder, lambda asked, data: Answer(body=data, headers={"Accept-Ranges": "none"}, length=length))
    )
    assert np.array_equal(whole(server.url), em)
    if sharding and length == -1:  # a whole file serves all of its chunks
        shards = [asked for asked in server.asked if asked.path.endswith(".shard")]
        assert len(shards) <= 8


def test_large_files_without_ranges_are_not_kept(serve: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imageryclient.storage.transfer._WHOLE", 1000)
    data = np.random.default_rng(1).bytes(300_000)
    server = serve(lambda asked: Answer(body=data))
    store = WebStore(server.url, None, QUICK)
    for start, stop in ((0, 10), (5, 100_000), (299_990, 300_000)):
        assert store.get_range("a", start, stop).data == data[start:stop]
    assert store.get_range("a", -7, 0).data == data[-7:]


def test_ranges_of_answers_of_no_length(serve: Make) -> None:
    data = bytes(range(256)) * 9

    def answer(asked: Asked) -> Answer:
        span = asked.headers.get("range", "").removeprefix("bytes=")
        if not span:
            return Answer(body=data, length=None)
        first, _, last = span.partition("-")
        if not first:
            return Answer(206, data[-int(last) :], {"Content-Range": "bytes */*"}, length=None)
        return Answer(206, data[int(first) : int(last) + 1], {"Content-Range": f"bytes {span}/9"}, length=None)

    store = WebStore(serve(answer).url, None, QUICK)
    assert store.get_range("a", 100, 400).data == data[100:400]
    assert store.get_range("a", -5, 0).data == data[-5:]
    assert store.get("a").data == data


def as_google(asked: Asked, data: bytes) -> Answer:
    """Objects stored compressed: sent so to those who take gzip; else decompressed, of no length, without ranges."""
    if data[:2] != b"\x1f\x8b":
        return Answer(body=data)
    if "gzip" in asked.headers.get("accept-encoding", ""):
        return Answer(body=data, headers={"Content-Encoding": "gzip", "ETag": '"1"'})
    return Answer(body=gzip.decompress(data), headers={"Warning": "214 UploadServer gunzipped"}, length=None)


def test_objects_decompressed_on_the_way(tmp_path: Path, serve: Make) -> None:
    folder, em = layer(tmp_path, compress="gzip")
    for file in folder.rglob("*.gz"):
        file.rename(file.with_suffix(""))
    server = serve(files(folder, as_google))
    assert np.array_equal(whole(server.url), em)


def test_answers_compressed_on_the_way(tmp_path: Path, serve: Make) -> None:
    folder, em = layer(tmp_path, sharding=SHARDED)

    def compressing(asked: Asked, data: bytes) -> Answer:  # whatever the client says it takes, and without ranges
        return Answer(body=gzip.compress(data), headers={"Content-Encoding": "gzip"})

    assert np.array_equal(whole(serve(files(folder, compressing)).url), em)


def test_google_is_told_that_gzip_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    class Noted:
        @classmethod
        def from_url(cls, url: str, **options: Any) -> Noted:
            made.append({"url": url, **options["client_options"].get("default_headers", {})})
            return cls()

        def get(self, path: str) -> Any:
            raise FileNotFoundError

    monkeypatch.setattr("obstore.store.HTTPStore", Noted)
    for url in ("gs://bucket-one/em", "https://storage.googleapis.com/bucket-two/em", "https://example.org/em"):
        assert open_store(url).get("info").data is None
    assert [one.get("Accept-Encoding") for one in made] == ["gzip", None]  # both buckets are on one server


@pytest.mark.parametrize("value", ["1", "date", "600", "soon", None])
def test_a_busy_server_says_how_long_to_wait(serve: Make, value: str | None) -> None:
    free = time.monotonic() + 3.0
    asked_for = value
    if value == "date":  # of whole seconds
        asked_for = format_datetime(datetime.now(UTC) + timedelta(seconds=4), usegmt=True)

    def answer(asked: Asked) -> Answer:
        if time.monotonic() < free:
            return Answer(429, headers={} if asked_for is None else {"Retry-After": asked_for})
        return Answer(body=b"here")

    store = WebStore(serve(answer).url, None, Patience(timeout=6.0))
    if value in ("1", "date"):
        assert store.get("a").data == b"here"
        return
    with pytest.raises(StorageError, match="429") as caught:
        store.get("a")
    assert ("asks to wait 600 s" in str(caught.value)) == (value == "600")
    assert time.monotonic() < free + 1


@pytest.mark.parametrize("length", [-1, None], ids=["length", "chunked"])
def test_a_slow_drip_ends(serve: Make, length: int | None) -> None:
    server = serve(lambda asked: Answer(body=b"x" * 10_000, length=length, drip=0.1))
    begun = time.perf_counter()
    with pytest.raises(StorageTimeoutError, match="no answer in time"):
        WebStore(server.url, None, Patience(timeout=0.5)).get("a")
    assert time.perf_counter() - begun < 3


# ---- what servers say -------------------------------------------------------------------------------------------


def test_tokens_are_masked_in_whatever_a_server_says(serve: Make) -> None:
    def echo(asked: Asked) -> Answer:
        said = asked.headers.get("authorization", "nothing")
        status = {"/refused/info": 403, "/bad/info": 400, "/failed/info": 500}.get(asked.path, 200)
        return Answer(status, f"you sent {said}, {said}".encode())

    server = serve(echo)
    for name, kind in (
        ("refused", AccessError),
        ("bad", StorageError),
        ("failed", StorageError),
        ("page", FormatError),
    ):
        source = f"precomputed://middleauth+{server.url}/{name}"
        with pytest.raises(kind) as caught:
            ic.ImageryClient(image_source=source, auth_token=TOKEN).image_cutout([[0, 0, 0], [1, 1, 1]])
        assert TOKEN not in str(caught.value)
        assert TOKEN[:20] not in str(caught.value)
        error: BaseException | None = caught.value
        while error is not None:
            assert TOKEN not in str(error)
            error = error.__cause__ or error.__context__
        if name == "page":
            assert "you sent Bearer ***" in str(caught.value)
    with pytest.raises(FormatError) as caught:
        Rest(f"{server.url}/page", TOKEN, QUICK).get_json("info")
    assert "you sent Bearer ***" in str(caught.value)
    assert masked(f"{TOKEN} {TOKEN}") == "*** ***"


def test_a_bucket_that_is_not_there_is_no_absent_chunk(serve: Make) -> None:
    body = b'<?xml version="1.0"?><Error><Code>NoSuchBucket</Code></Error>'
    store = WebStore(serve(lambda asked: Answer(404, body)).url, None, QUICK)
    with pytest.raises(NotFoundError, match="no such bucket"):
        store.get("8_8_40/0-64_0-64_0-64")


# ---- proxies and certificates -----------------------------------------------------------------------------------


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A proxy that the environment names, and what it was asked."""
    with proxy() as (address, seen):
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            for variant in (name, name.upper()):
                monkeypatch.setenv(variant, f"http://me:verysecret@{address}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "")
        yield seen


def test_proxies_of_the_environment(serve: Make, through: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(lambda asked: Answer(body=b'{"a": 1}'))
    assert WebStore(server.url, None, QUICK).get("a").data == b'{"a": 1}'
    assert through == [f"GET {server.url}/a with a password"]
    through.clear()
    assert Rest(server.url, None, QUICK).get_json("b") == {"a": 1}
    assert through == [f"GET {server.url}/b with a password"]
    through.clear()
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "example.org,127.0.0.1")
    assert WebStore(f"{server.url}/x", None, Patience(timeout=2.5)).get("a").data == b'{"a": 1}'
    assert Rest(server.url, None, QUICK).get_json("b") == {"a": 1}
    assert through == []


def test_proxies_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "socks5://me:verysecret@127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    with pytest.raises(StorageError, match=r"socks5://127\.0\.0\.1:1") as caught:
        Rest("http://127.0.0.1:9", None, QUICK).get_json("a")
    assert "verysecret" not in str(caught.value)


class Authority:
    """A certificate authority of one's own, and a server's certificate from it."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("openssl")
        if program is None:
            pytest.skip("there is no openssl program to make certificates with")
        self.file = folder / "authority.pem"
        key, request, certificate = folder / "key.pem", folder / "request.pem", folder / "server.pem"
        names = folder / "names"
        # the identifiers and usages that Python 3.13 asks certificates for
        names.write_text(
            "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid,issuer\n"
        )
        root = folder / "root.pem"
        config = folder / "config"
        config.write_text(
            "[req]\ndistinguished_name=dn\nx509_extensions=ca\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\n"
            "keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
        )
        new = ("-newkey", "rsa:2048", "-nodes", "-config", config)
        run = [
            ("req", "-x509", *new, "-keyout", root, "-out", self.file, "-days", "9", "-subj", "/CN=Ours"),
            ("req", *new, "-keyout", key, "-out", request, "-subj", "/CN=127.0.0.1"),
            (
                *("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", root, "-set_serial", "2"),
                *("-days", "9", "-extfile", names, "-out", certificate),
            ),
        ]
        for command in run:
            subprocess.run([program, *map(str, command)], check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)


@pytest.fixture(scope="module")
def own_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def authority(own_authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that the environment names."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own_authority.file))
    return own_authority


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificate_authorities_of_the_environment(
    serve: Make, own_authority: Authority, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda asked: Answer(body=b"[1]"), own_authority.context)
    for calls in (
        lambda: open_store(f"{server.url}/em", patience=QUICK).get("a"),
        lambda: Rest(server.url).get_json("b"),
    ):
        with pytest.raises(StorageError, match="certificate"):
            calls()
    monkeypatch.setenv(variable, str(own_authority.file))
    ic.clear_cache()
    assert open_store(f"{server.url}/em", patience=QUICK).get("a").data == b"[1]"
    assert Rest(server.url).get_json("b") == [1]
    monkeypatch.setenv(variable, str(own_authority.file.parent / "none.pem"))
    for calls in (
        lambda: open_store(f"{server.url}/em", patience=QUICK).get("c"),
        lambda: Rest(server.url).get_json("b"),
    ):
        with pytest.raises(StorageError, match=rf"{variable} names .*none\.pem, which does not exist"):
            calls()


def test_https_through_a_proxy(serve: Make, authority: Authority, through: list[str]) -> None:
    server = serve(lambda asked: Answer(body=b"[1]"), authority.context)
    assert open_store(f"{server.url}/em", patience=QUICK).get("a").data == b"[1]"
    assert Rest(server.url).get_json("b") == [1]
    assert through == [f"CONNECT 127.0.0.1:{server.server_port} with a password"] * 2


def test_a_token_goes_through_a_proxy_to_its_server_alone(serve: Make, through: list[str]) -> None:
    other = serve(here)
    first = serve(redirected(other.url))
    assert WebStore(first.url, TOKEN, QUICK).get("a").data == b"here"
    assert len(through) == 2
    assert "authorization" in first.asked[0].headers
    assert "authorization" not in other.asked[0].headers


def test_what_is_not_an_address_of_a_store() -> None:
    for url in ("ftp://example.org/em", "mem://x", "em"):
        with pytest.raises(ic.errors.SourceError, match="no address"):
            open_store(url)
