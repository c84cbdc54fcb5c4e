"""Failing well: one clear error that says what to do, in known time, with nothing half made and no token in it."""

from __future__ import annotations

import builtins
import json
import logging
import pickle
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient import errors
from imageryclient.demo.faults import Fault
from imageryclient.errors import (
    AccessError,
    DamagedDataError,
    FormatError,
    ImageryError,
    NotFoundError,
    StorageError,
    StorageTimeoutError,
)

SECRET = "5ec2e75ec2e75ec2e75ec2e75ec2e701"
PLAIN = (("Content-Encoding", "identity"),)


def corners(stack: Any) -> list[np.ndarray]:
    return [np.array(stack.middle) - [20, 16, 1], np.array(stack.middle) + [20, 16, 2]]


def is_right(stack: Any, cut: Any, where: list[np.ndarray]) -> bool:
    return np.array_equal(cut.image, stack.image(*where)) and np.array_equal(
        cut.segmentation, stack.roots(*where, stack.late.timestamp())
    )


# ---- the tree ---------------------------------------------------------------------------------------------------


def test_the_tree_is_as_it_is_drawn() -> None:
    drawn = errors.__doc__ or ""
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, (ImageryError, errors.ImageryWarning))
        line = next(line for line in drawn.splitlines() if f" {name} " in f"{line} " or line.strip().startswith(name))
        builtin = line.split("(")[1].split(")")[0] if "(" in line else "Exception"
        assert issubclass(kind, getattr(builtins, builtin)), name
        if kind is not ImageryError and not issubclass(kind, Warning):
            assert str(pickle.loads(pickle.dumps(kind("words")))) == "words"


def test_errors_come_back_from_workers_of_dask() -> None:
    support = pytest.importorskip("tblib.pickling_support")
    for name in errors.__all__:
        kind = getattr(errors, name)
        if issubclass(kind, ImageryError):
            error = kind("words")
            error.status = 503
            make, arguments, *state = support.pickle_exception(error)
            again = make(*arguments)
            assert (type(again), str(again)) == (kind, "words")
            assert state == [{"status": 503}]


# ---- every fault ------------------------------------------------------------------------------------------------

CHUNK = "8_8_40/164-228_124-188_23-39"
EMPTY_VOLUME = {
    "type": "segmentation",
    "data_type": "uint64",
    "num_channels": 1,
    "scales": [
        {"key": "a", "size": [9, 9, 9], "resolution": [8, 8, 40], "chunk_sizes": [[9, 9, 9]], "encoding": "raw"}
    ],
}
PASSING = {
    "503 of the imagery": Fault("imagery/", status=503, times=3),
    "503 of the graph": Fault("/segmentation/", status=503, times=3),
    "429 everywhere": Fault("", status=429, times=4),
    "imagery breaks off": Fault(f"imagery/{CHUNK}", truncate=500, times=2),
    "imagery is garbage": Fault(f"imagery/{CHUNK}", garbage=True, times=2),
    "imagery is short": Fault(f"imagery/{CHUNK}", shorten=500, times=2),
    "supervoxels break off": Fault(f"supervoxels/{CHUNK}", truncate=500, times=2),
    "supervoxels are garbage": Fault(f"supervoxels/{CHUNK}", garbage=True, times=2),
    "supervoxels are short": Fault(f"supervoxels/{CHUNK}", shorten=500, times=2),
    "chunks reset": Fault(CHUNK, reset=True, times=2),
    "the graph resets": Fault("roots_binary", reset=True, times=2),
    "an info is cut off": Fault("info$", truncate=40, times=2),
    "the imagery's info is short": Fault("imagery/info", shorten=40, times=1),
    "half of everything": Fault("", status=503, probability=0.3, seed=3),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_is_not_noticed(datastack: Any, server: Any, connect: Any, fault: Fault) -> None:
    running = server(faults=[fault])
    cut = connect(running).cutout(bounds=corners(datastack))
    assert is_right(datastack, cut, corners(datastack))


LASTING: dict[str, tuple[Fault, type[ImageryError], list[str]]] = {
    "a hanging chunk": (Fault(CHUNK, hang=30), StorageTimeoutError, [CHUNK, "no answer in time"]),
    "a hanging info": (Fault("imagery/info", hang=30), StorageTimeoutError, ["/data/imagery/info"]),
    "a hanging graph": (Fault("roots_binary", hang=30), StorageTimeoutError, ["roots_binary"]),
    "503 of the imagery": (Fault("imagery/8_8_40", status=503), StorageError, ["imagery/8_8_40", "503"]),
    "503 of the graph": (Fault("roots_binary", status=503), StorageError, ["roots_binary", "503 after 6 tries"]),
    "403 of a chunk": (Fault(f"imagery/{CHUNK}", status=403), AccessError, [CHUNK, "403", "permission"]),
    "401 of a chunk": (Fault(f"imagery/{CHUNK}", status=401), AccessError, [CHUNK, "401", "middleauth+"]),
    "403 of the graph": (Fault("roots_binary", status=403), AccessError, ["403", "permission"]),
    "a sign-in page": (
        Fault("roots_binary", status=302, headers=(("Location", "/sticky_auth/api/v1/authorize"),)),
        AccessError,
        ["302", "auth_token", "get_new_token"],
    ),
    "a broken chunk": (Fault(f"imagery/{CHUNK}", truncate=500), DamagedDataError, ["data/imagery", CHUNK, "[164:228"]),
    "garbage": (Fault(f"supervoxels/{CHUNK}", garbage=True), DamagedDataError, ["little_v1", CHUNK, "[164:228"]),
    "no JSON": (Fault("imagery/info", body=b"nonsense"), FormatError, ["data/imagery/info", "not JSON", "'nonsense'"]),
    "a page": (Fault("imagery/info", body=b"<!doctype html>"), FormatError, ["not JSON", "a web page"]),
    "a list": (Fault("imagery/info", body=b"[1]"), FormatError, ["data/imagery", "must be a JSON object"]),
    "a page for the table": (
        Fault("table/.*info", body=b"<!doctype html>", headers=PLAIN),
        FormatError,
        ["did not answer with JSON", "<!doctype html>"],
    ),
    "no table": (Fault("table/.*info", status=404), NotFoundError, ["does not exist (404)", "name of the table"]),
    "no info": (Fault("imagery/info", status=404), NotFoundError, ["no info document at", "check the address"]),
    "no data_dir": (
        Fault(
            "table/.*info",
            body=json.dumps(EMPTY_VOLUME).encode(),
            headers=PLAIN,
        ),
        FormatError,
        ["no 'data_dir'"],
    ),
}


@pytest.mark.parametrize(("fault", "kind", "words"), LASTING.values(), ids=LASTING)
def test_what_lasts_is_one_clear_error_in_known_time(
    datastack: Any, server: Any, connect: Any, fault: Fault, kind: type[ImageryError], words: list[str]
) -> None:
    running = server(faults=[fault])
    client = connect(running, timeout=0.5 if fault.hang else 30.0, missing="fill")
    begun = time.perf_counter()
    with pytest.raises(ImageryError) as caught:
        client.cutout(bounds=corners(datastack))
    assert time.perf_counter() - begun < 5
    assert isinstance(caught.value, kind)
    message = str(caught.value)
    assert running.url in message
    for word in words:
        assert word in message
    assert len(message) < 700
    assert "\n" not in message
    running.faults = []
    assert is_right(datastack, client.cutout(bounds=corners(datastack)), corners(datastack))  # and it is over


def test_a_server_that_is_down(datastack: Any, server: Any, connect: Any) -> None:
    running = server()
    opened, live = connect(running), connect(running, timestamp=None)
    opened.cutout(bounds=corners(datastack))
    url = running.url
    running.stop()
    elsewhere = [[110, 70, 9], [220, 170, 40]]
    assert is_right(datastack, opened.cutout(bounds=corners(datastack)), corners(datastack))  # all of it is at hand
    for client, where in ((live, corners(datastack)), (opened, elsewhere)):
        begun = time.perf_counter()
        with pytest.raises(StorageError, match="cannot be reached") as caught:
            client.cutout(bounds=where)
        assert url in str(caught.value)
        assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("encoding", ["brandnew", "fpzip"])
def test_an_unknown_encoding(datastack: Any, tmp_path: Path, encoding: str) -> None:
    document = json.loads((datastack.folder / "jpeg" / "info").read_text())
    document["scales"][0]["encoding"] = encoding
    shutil.copytree(datastack.folder / "jpeg" / "32_32_40", tmp_path / "32_32_40")
    (tmp_path / "info").write_text(json.dumps(document))
    client = ic.ImageryClient(image_source=tmp_path)
    with pytest.raises(FormatError) as caught:
        client.image_cutout([[25, 15, 7], [30, 20, 9]])
    message = str(caught.value)
    assert str(tmp_path) in message
    if encoding == "brandnew":
        assert "encoded as 'brandnew'; raw, jpeg, png, compressed_segmentation, compresso" in message
    else:
        assert "encoding 'fpzip' holds float32; the volume has 1 of uint8" in message


def test_a_failure_leaves_no_thread_behind_that_waits(datastack: Any, server: Any, connect: Any) -> None:
    running = server(faults=[Fault(CHUNK, status=403)])
    client = connect(running)
    for _ in range(3):
        with pytest.raises(AccessError):
            client.cutout(bounds=corners(datastack))
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("imageryclient-read")]
    assert sum(name.startswith("imageryclient-fetch") for name in names) <= 32


# ---- tokens -----------------------------------------------------------------------------------------------------


def everything_about(error: BaseException | None) -> Iterator[str]:
    """The text of an error, of all that led to it, and of their tracebacks."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__suppress_context__ = False  # print what `from None` hides, too
        yield from (str(one), repr(one), repr(one.args), "".join(traceback.format_exception(one)))
        waiting += [one.__cause__, one.__context__]


def reprs_within(thing: Any, depth: int = 12, seen: set[int] | None = None) -> Iterator[str]:
    """The repr and str of an object, and of the objects of this package that it is made of."""
    seen = set() if seen is None else seen
    if depth == 0 or id(thing) in seen or isinstance(thing, (str, bytes, np.ndarray)):
        return
    seen.add(id(thing))
    mine = type(thing).__module__.startswith("imageryclient")
    if mine:
        yield repr(thing)
        yield str(thing)
    names = [*getattr(thing, "__dict__", ()), *getattr(type(thing), "__slots__", ())] if mine else []
    parts = [getattr(thing, name, None) for name in names]
    if isinstance(thing, dict):
        parts += list(thing.values())
    elif isinstance(thing, (list, tuple)):
        parts += list(thing)
    for part in parts:
        yield from reprs_within(part, depth - 1, seen)


FAILURES: dict[str, Fault] = {
    "refused": Fault("^$"),
    "403": Fault("/segmentation/", status=403),
    "a refusal that repeats it": Fault("/segmentation/", status=418, body=json.dumps({"message": SECRET}).encode()),
    "a page that repeats it": Fault("/segmentation/", body=f"<p>{SECRET}".encode(), headers=PLAIN),
    "imagery that repeats it": Fault("imagery/8", status=418, body=f"teapot {SECRET}".encode()),
    "imagery 403": Fault("imagery/8", status=403, body=SECRET.encode()),
    "garbage": Fault("imagery/8", garbage=True),
    "breaks off": Fault("roots_binary", truncate=3),
    "redirect": Fault("roots_binary", status=302, headers=(("Location", f"/x?token={SECRET}"),)),
}


@pytest.mark.parametrize("name", FAILURES)
def test_no_token_in_anything(
    datastack: Any, server: Any, connect: Any, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.DEBUG)
    running = server(token=None if name != "refused" else "another", faults=[FAILURES[name]])
    client = connect(
        running,
        auth_token=SECRET,
        timeout=0.5,
        image_source=f"precomputed://middleauth+{running.url}/data/imagery",
    )
    with pytest.raises(ImageryError) as caught:
        client.cutout(bounds=corners(datastack))
    texts = [*everything_about(caught.value), *reprs_within(client)]
    assert len(texts) > 12
    logs = [record.getMessage() + str(record.args) + str(record.exc_text) for record in caplog.records]
    assert logs
    for text in (*texts, *logs):
        assert SECRET not in text
    assert any(request.header("Authorization") == f"Bearer {SECRET}" for request in running.requests)


def test_no_token_in_what_succeeds(
    datastack: Any, server: Any, connect: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    running = server()
    client = connect(running, image_source=f"precomputed://middleauth+{running.url}/data/imagery")
    cut = client.cutout(bounds=corners(datastack))
    cut.save(tmp_path / "cut.npz")
    texts = [*reprs_within(client), *reprs_within(cut), json.dumps(cut.metadata()), repr(ic.cache.CACHE)]
    assert any("GrapheneVolume" in text for text in texts)
    assert any("WebStore" in text for text in texts)
    assert any("Rest(" in text for text in texts)
    texts += [record.getMessage() for record in caplog.records]
    for text in texts:
        assert datastack.token not in text
    assert datastack.token.encode() not in (tmp_path / "cut.npz").read_bytes()


@pytest.mark.parametrize("how", ["missing", "refused"])
def test_a_missing_or_refused_token_names_server_and_cure(
    datastack: Any, server: Any, sources: Callable[[Any], dict[str, str]], how: str
) -> None:
    running = server()
    client = ic.ImageryClient(**sources(running), auth_token=None if how == "missing" else SECRET)
    with pytest.raises(AccessError) as caught:
        client.segmentation_cutout(corners(datastack), resolution=datastack.fine)
    message = str(caught.value)
    for words in (running.url, "auth_token", "save_token", "none was given" if how == "missing" else "not accepted"):
        assert words in message
    assert client.image_cutout(corners(datastack), resolution=datastack.fine).any()  # which asks for no token
