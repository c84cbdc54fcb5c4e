from __future__ import annotations

import base64
import gzip
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageryclient.errors import DamagedDataError
from imageryclient.geometry import Box
from imageryclient.precomputed.chunks import chunk_id, chunks_covering
from imageryclient.precomputed.codecs import decode_chunk, decompress
from imageryclient.precomputed.sharding import (
    Location,
    index_entry_range,
    locate,
    minishard_range,
    parse_minishard_index,
)
from imageryclient.scales import Info, Scale, Sharding

# preshift, minishard and shard bits, chunk id, file and minishard: from cloud-volume 12.15.2.
MURMUR = [
    (0, 3, 11, 0, "5c8.shard", 1),
    (0, 3, 11, 1, "1d3.shard", 2),
    (0, 3, 11, 2, "7eb.shard", 2),
    (0, 3, 11, 12345, "4a2.shard", 0),
    (0, 3, 11, 2147483648, "190.shard", 6),
    (0, 3, 11, 4294967301, "41b.shard", 7),
    (0, 3, 11, 9223372036854775808, "1f5.shard", 0),
    (0, 3, 11, 18446744073709551615, "3a3.shard", 2),
    (0, 3, 11, 1443, "332.shard", 3),
    (0, 3, 11, 987654321987654321, "678.shard", 2),
    (9, 6, 15, 0, "22b9.shard", 1),
    (9, 6, 15, 1, "22b9.shard", 1),
    (9, 6, 15, 2, "22b9.shard", 1),
    (9, 6, 15, 12345, "6642.shard", 19),
    (9, 6, 15, 2147483648, "4b26.shard", 0),
    (9, 6, 15, 4294967301, "11f2.shard", 55),
    (9, 6, 15, 9223372036854775808, "61cb.shard", 10),
    (9, 6, 15, 18446744073709551615, "784d.shard", 34),
    (9, 6, 15, 1443, "04fd.shard", 26),
    (9, 6, 15, 987654321987654321, "4679.shard", 22),
    (0, 32, 32, 0, "4772b084.shard", 3760762433),
    (0, 32, 32, 1, "e8bd67d6.shard", 383045274),
    (0, 32, 32, 2, "d62f9cd2.shard", 453066586),
    (0, 32, 32, 12345, "1d31307e.shard", 979756304),
    (0, 32, 32, 2147483648, "734f3b6e.shard", 1345162374),
    (0, 32, 32, 4294967301, "c3f1773d.shard", 3157123295),
    (0, 32, 32, 9223372036854775808, "998a35e4.shard", 829083560),
    (0, 32, 32, 18446744073709551615, "574f66bd.shard", 556490010),
    (0, 32, 32, 1443, "f4397c35.shard", 4142668179),
    (0, 32, 32, 987654321987654321, "fc49a1da.shard", 1743008706),
]
# Shard files that tensorstore 0.1.86 wrote; zlib, base 85.
SHARDS = {
    "0.shard": (
        r"c-ouC00GCL^c_YB&Cdj(<-0k+G!t|5^{T?7(=Qvn-}dcJ#Q6fxpV|z$Y~~9DP!!!Z{`t@B+w7>G_H^6Zr@tSVz|6p3FA#{TC"
        r"^}GnS#?!lDg#6R2QF?76uIP`+qSv>ect+%f$9F!HdHz5tsmYBUVJY0hvDU|xl>W)9w#&~h-sW<TPnHGM4LI&L9}<;K}TkWn0"
        r"+djD^L_NDlpvt&v0pFgYwrii```3AIo$Qf60DxL%SB^<yF2a-_91e%YDe*<}^tGMH~0^<h^mCD?VoDb#A}Z__A_c;WC@=Qp#"
        r"U$P77hrl$#&^ikU&wobM5;rrDt{6!({VZM%GktA4BU=58CtX9<m4Q3K<5MN-|&C$F82>*vIWt^V-x2@`{(e!@CbMUyMbOZxW"
        r"S=>F?Djj2B>xo0QCp}Z|lsA{yo1^uznz3y7|yrpEf_3Yh3jE*f?b5PZEo2}wzWpJ7<wSfgS)PbSrrg66G*z+R??aw*L8MI$o"
        r"77)eiwR+LV#4RjS*chJl?_^&AR0;rbovfS"
    ),
    "1.shard": (
        r"c-lM900BRsv<M@FHiXjh-5g+=iTSnXHldjNV%bKPrvsCs^SewL3_DU=1yIyf@5xSL`+isV?s~p+C&a5ZRSPkMx7Q?~DtcVKV"
        r"ek0~kFOmQ$X%xWv~JaX*ZJ>fXC3@s;J!uh`P*FqvS|#5-#yx>fTGEJt6<$N!Te*pcWGXFaOcvj2Quj^&HrX@Q<`lhd}jT+%s"
        r"wWD_;~(AR85~lH4FGJ>V0Qs5YW5Q!+|1~oYcVJCS#(`oaw;owc05&*d&V0i<zNfhLm{)io(s}-kVA$pDkfv2z$D252_)LlNu"
        r"W21Hc-??`IcF00jZG%3qB"
    ),
}


@pytest.mark.parametrize(("preshift", "minishard_bits", "shard_bits", "chunk", "file", "minishard"), MURMUR)
def test_murmur_places(
    preshift: int, minishard_bits: int, shard_bits: int, chunk: int, file: str, minishard: int
) -> None:
    sharding = Sharding(preshift, "murmurhash3_x86_128", minishard_bits, shard_bits, "raw", "raw")
    assert locate(chunk, sharding) == Location(file, minishard)


@given(st.integers(0, 2**64 - 1), st.integers(0, 64), st.integers(0, 32), st.integers(0, 32))
def test_identity_places(chunk: int, preshift: int, minishard_bits: int, shard_bits: int) -> None:
    found = locate(chunk, Sharding(preshift, "identity", minishard_bits, shard_bits, "raw", "raw"))
    bits = f"{chunk:064b}"[: 64 - preshift].rjust(64, "0")
    minishard = bits[64 - minishard_bits :]
    shard = bits[64 - minishard_bits - shard_bits : 64 - minishard_bits]
    assert found.minishard == int(minishard or "0", 2)
    stem = found.shard_file.removesuffix(".shard")
    assert int(stem, 16) == int(shard or "0", 2)
    assert len(stem) == max(1, (shard_bits + 3) // 4)
    assert stem == stem.lower()


def test_reads_shards_of_tensorstore() -> None:
    files = {name: zlib.decompress(base64.b85decode(text)) for name, text in SHARDS.items()}
    at = (8.0, 8.0, 40.0)
    sharding = Sharding(1, "murmurhash3_x86_128", 1, 1, "gzip", "gzip")
    bounds = Box((3, 0, -2), (13, 6, 3), at)
    scale = Scale(0, "s", at, bounds, (4, 4, 2), "raw", None, sharding)
    info = Info("image", np.dtype("uint8"), 1, (scale,))
    volume = np.zeros(bounds.shape, dtype=np.uint8)
    for chunk in chunks_covering(scale, bounds):
        number = chunk_id(chunk.index, scale.grid_shape)
        place = locate(number, sharding)
        shard = files[place.shard_file]
        where = minishard_range(shard[slice(*index_entry_range(place.minishard))], sharding)
        assert where is not None
        found = parse_minishard_index(shard[slice(*where)], sharding).find(number)
        assert found is not None
        data = decompress(shard[slice(*found)], sharding.data_encoding)
        volume[chunk.box.slices(bounds)] = decode_chunk(data, scale, info, chunk)[..., 0]
    wanted = (np.arange(10 * 6 * 5) * 7 % 251).astype(np.uint8).reshape(10, 6, 5)
    np.testing.assert_array_equal(volume, wanted)


def encoded_index(entries: list[tuple[int, int, int]]) -> bytes:
    """Ids with absolute starts and stops, counted from the end of the shard index, as the format stores them."""
    ids, starts, sizes = [], [], []
    last_id = last_stop = 0
    for number, start, stop in entries:
        ids.append((number - last_id) % 2**64)
        starts.append((start - last_stop) % 2**64)
        sizes.append(stop - start)
        last_id, last_stop = number, stop
    return struct.pack(f"<{3 * len(entries)}Q", *ids, *starts, *sizes)


@settings(max_examples=60)
@given(st.data())
def test_minishard_index_round_trip(data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, 2**64 - 1), max_size=12, unique=True))
    entries = []
    for number in numbers:
        start = data.draw(st.integers(0, 2**40))
        entries.append((number, start, start + data.draw(st.integers(0, 2**20))))
    zipped = data.draw(st.booleans())
    bits = data.draw(st.integers(0, 10))
    sharding = Sharding(0, "identity", bits, 4, "gzip" if zipped else "raw", "raw")
    stored = encoded_index(entries)
    index = parse_minishard_index(gzip.compress(stored) if zipped else stored, sharding)
    header = 16 * 2**bits
    for number, start, stop in entries:
        assert index.find(number) == (header + start, header + stop)
        for other in (number - 1, number + 1):
            if other not in numbers and 0 <= other < 2**64:
                assert index.find(other) is None


def test_shard_index_entries() -> None:
    sharding = Sharding(0, "identity", 3, 4, "raw", "raw")
    assert index_entry_range(5) == (80, 96)
    assert minishard_range(struct.pack("<QQ", 10, 34), sharding) == (138, 162)
    assert minishard_range(struct.pack("<QQ", 10, 10), sharding) is None
    for damaged in (
        b"",
        b"\0" * 15,
        b"\0" * 32,
        struct.pack("<QQ", 34, 10),
        struct.pack("<QQ", 0, 2**63),
        struct.pack("<QQ", 0, 2**64 - 1),
    ):
        with pytest.raises(DamagedDataError):
            minishard_range(damaged, sharding)


def test_damaged_minishard_indices() -> None:
    raw = Sharding(0, "identity", 3, 4, "raw", "raw")
    zipped = Sharding(0, "identity", 3, 4, "gzip", "raw")
    good = encoded_index([(1, 0, 10), (5, 10, 30)])
    whole = gzip.compress(good)
    for damaged in (
        good[:-1],
        good[:24] + b"x",
        struct.pack("<3Q", 0, 0, 2**64 - 1),
        struct.pack("<3Q", 0, 2**63, 1),
        struct.pack("<3Q", 0, 2**64 - 1, 2),
    ):
        with pytest.raises(DamagedDataError):
            parse_minishard_index(damaged, raw)
    for cut in range(len(whole)):
        with pytest.raises(DamagedDataError):
            parse_minishard_index(whole[:cut], zipped)
    with pytest.raises(DamagedDataError):
        parse_minishard_index(good, zipped)
    assert parse_minishard_index(b"", raw).find(0) is None


def test_random_bytes_as_index() -> None:
    random = np.random.default_rng(1)
    for zipped in ("raw", "gzip"):
        sharding = Sharding(0, "identity", 3, 4, zipped, "raw")
        for _ in range(500):
            noise = random.bytes(int(random.integers(0, 200)))
            try:
                index = parse_minishard_index(noise, sharding)
            except DamagedDataError:
                continue
            assert np.all(index.starts <= index.stops)
