"""How near a read is to what the machine allows: the longest of what no reader can do without.

A cold read waits for three round trips (both info documents; the chunks of both layers; the objects), moves the bytes
of the chunks through the loopback, and decodes the blocks that it touches, with the fastest codec there is on all
cores. The longest of the three bounds any reader from below; how long the served chunks take to come, fetched alone,
is told beside it, since it is the demo server in Python that sends them.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import compressed_segmentation
import deflate
import numpy as np
from service import Service

from imageryclient.geometry import Box
from imageryclient.precomputed.chunks import Chunk, chunk_key, chunks_covering
from imageryclient.precomputed.codecs import decode_chunk
from imageryclient.precomputed.info import parse_info
from imageryclient.precomputed.labels import EncodedLabels
from imageryclient.scales import Info, Scale
from imageryclient.storage import open_store
from imageryclient.volumes.precomputed import read_info_document

ROUND_TRIPS = 3
_TRIES = 3


def loopback(size: int = 2**28) -> float:
    """Bytes a second from one thread to another through a socket on 127.0.0.1."""
    listener = socket.create_server(("127.0.0.1", 0))

    def send() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(bytes(size))

    thread = threading.Thread(target=send)
    thread.start()
    with socket.create_connection(listener.getsockname()) as connection:
        room, got, begin = bytearray(2**20), 0, time.perf_counter()
        while count := connection.recv_into(room):
            got += count
        spent = time.perf_counter() - begin
    thread.join()
    listener.close()
    return got / spent


def _least(work: Callable[[], object]) -> float:
    """Seconds of processor time in this thread, the least of a few tries."""
    spent = []
    for _ in range(_TRIES):
        begin = time.thread_time()
        work()
        spent.append(time.thread_time() - begin)
    return min(spent)


def _chunks(folder: Path, layer: str, box: Box) -> tuple[Info, Scale, list[tuple[Chunk, Box, bytes]]]:
    url = (folder / layer).resolve().as_uri()
    info = parse_info(read_info_document(open_store(url), url), url)
    scale = info.scales[0]
    found = [
        (chunk, box.intersect(chunk.box), (folder / layer / chunk_key(scale, chunk)).read_bytes())
        for chunk in chunks_covering(scale, box)
    ]
    return info, scale, found


def imagery_seconds(folder: Path, box: Box) -> float:
    """Decode the imagery of a box in one thread: each picture down to the last row that is needed, or whole."""
    info, scale, chunks = _chunks(folder, "imagery", box)
    return min(
        sum(_least(lambda c=c, r=r, raw=raw: decode_chunk(raw, scale, info, c, r)) for c, r, raw in chunks),
        sum(_least(lambda c=c, raw=raw: decode_chunk(raw, scale, info, c, c.box)) for c, _, raw in chunks),
    )


def label_seconds(folder: Path, box: Box) -> dict[str, float]:
    """Decompress and decode the labels of a box in one thread, by each of the decoders, without looking up objects."""
    info, scale, chunks = _chunks(folder, "supervoxels", box)
    inflate = sum(_least(lambda raw=raw: deflate.gzip_decompress(raw)) for _, _, raw in chunks)
    plain = [(chunk, region, bytes(deflate.gzip_decompress(raw))) for chunk, region, raw in chunks]

    def blocks(chunk: Chunk, region: Box, data: bytes) -> None:
        EncodedLabels.parse(data, chunk, scale, info).decode(region)

    def whole(chunk: Chunk, data: bytes) -> None:
        compressed_segmentation.decompress(data, chunk.box.shape, np.uint64, scale.block_size, order="F")

    return {
        "inflate": inflate,
        "touched blocks": sum(_least(lambda c=c, r=r, d=d: blocks(c, r, d)) for c, r, d in plain),
        "whole chunks in C": sum(_least(lambda c=c, d=d: whole(c, d)) for c, _, d in plain),
    }


def _box(low: list[int], size: Iterable[int]) -> Box:
    start = tuple(low)
    return Box(start, tuple(a + n for a, n in zip(start, size, strict=True)), (8.0, 8.0, 40.0))


def fetch_seconds(service: Service, folder: Path, low: list[int], size: Iterable[int]) -> float:
    """Fetch the chunks of both layers, 32 at once, and do nothing with them; the least of a few tries."""
    from obstore.store import HTTPStore

    keys = []
    for layer in ("imagery", "supervoxels"):
        _, scale, chunks = _chunks(folder, layer, _box(low, size))
        keys += [f"data/{layer}/{chunk_key(scale, chunk)}" for chunk, _, _ in chunks]
    store = HTTPStore.from_url(service.about["url"], client_options={"allow_http": True})
    spent = []
    with ThreadPoolExecutor(32) as pool:
        for _ in range(_TRIES + 1):
            begin = time.perf_counter()
            for _ in pool.map(lambda key: store.get(key).bytes(), keys):
                pass
            spent.append(time.perf_counter() - begin)
    return min(spent[1:])


def limit(folder: Path, low: list[int], size: Iterable[int], sent: float, bandwidth: float) -> dict[str, Any]:
    """Give what bounds a cold read of a box, in seconds."""
    box = _box(low, size)
    cores = os.cpu_count() or 1
    labels = label_seconds(folder, box)
    decoders = {name: seconds for name, seconds in labels.items() if name != "inflate"}
    codec = min(decoders, key=lambda name: decoders[name])
    imagery = imagery_seconds(folder, box)
    return {
        "transfer": sent / bandwidth,
        "decode": (imagery + labels["inflate"] + decoders[codec]) / cores,
        "imagery": imagery,
        "labels": labels,
        "codec": codec,
        "box": [list(box.start), list(box.stop)],
    }
