from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from imageryclient.cache import ABSENT, Payload
from imageryclient.cachefolder import CacheFolder
from imageryclient.errors import ArgumentError

WRITER = """
import sys
import numpy as np
from imageryclient.cache import Payload
from imageryclient.cachefolder import CacheFolder
folder = CacheFolder(sys.argv[1], limit=400_000)
rng = np.random.default_rng(int(sys.argv[2]))
print("ready", flush=True)
while True:
    n = int(rng.integers(200))
    kept = folder.get(str(n))
    if kept is None:
        folder.put(str(n), Payload(np.random.default_rng(n).bytes(1000 + 37 * n), "gzip"))
    else:
        assert kept.data == np.random.default_rng(n).bytes(1000 + 37 * n)
"""


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("??/*"))


def test_entries_outlive_their_process_and_absences_are_not_kept(tmp_path: Path) -> None:
    CacheFolder(tmp_path / "cache").put("name", Payload(b"data", "br"))
    again = CacheFolder(tmp_path / "cache")
    assert again.get("name") == Payload(b"data", "br")
    again.put("nothing", ABSENT)
    assert again.get("nothing") is None
    again.discard("name")
    assert again.get("name") is None


def test_a_damaged_entry_is_no_entry(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cache = CacheFolder(tmp_path)
    for trial in range(50):
        cache.put("name", Payload(bytes(100)))
        (file,) = tmp_path.glob("??/*")
        data = bytearray(file.read_bytes())
        if trial % 2:
            data = data[: int(rng.integers(len(data)))]
        else:
            data[int(rng.choice([*range(4), *range(13, len(data))]))] ^= 1 << int(rng.integers(8))
        file.write_bytes(data)
        assert cache.get("name") is None
        assert not file.exists()


def test_the_folder_keeps_to_its_limit_and_what_was_used_last_stays(tmp_path: Path) -> None:
    cache = CacheFolder(tmp_path, limit=50_000)
    cache.put("dear", Payload(bytes(1000)))
    for n in range(200):
        cache.put(str(n), Payload(bytes(1000)))
        if n % 10 == 0:
            for file in tmp_path.glob("??/*"):  # time passes
                os.utime(file, (time.time() - 100, file.stat().st_mtime - 100))
            assert cache.get("dear") is not None
    assert size_of(tmp_path) <= 50_000
    cache.put("huge", Payload(bytes(60_000)))
    assert cache.get("huge") is None
    cache.clear()
    assert size_of(tmp_path) == 0


def test_an_unfinished_file_of_a_killed_process_is_swept_away_in_time(tmp_path: Path) -> None:
    cache = CacheFolder(tmp_path)
    cache.put("name", Payload(b"data"))
    (file,) = tmp_path.glob("??/*")
    fresh, old = file.parent / "fresh.part", file.parent / "old.part"
    for path in (fresh, old):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    CacheFolder(tmp_path)
    assert fresh.exists()
    assert not old.exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_processes_share_it_and_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for seed in range(4):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(10 * seed + n)], stdout=subprocess.PIPE)
            for n in range(3)
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline().strip() == b"ready"
        time.sleep(float(rng.uniform(0.1, 0.4)))
        for writer in writers:
            assert writer.poll() is None, "a writer met a wrong entry"
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
        cache = CacheFolder(tmp_path, limit=400_000)
        found = 0
        for n in range(200):
            kept = cache.get(str(n))
            if kept is not None:
                found += 1
                assert kept.data == np.random.default_rng(n).bytes(1000 + 37 * n)
        assert found > 10
    assert size_of(tmp_path) < 3 * 400_000  # each process counts for itself until it sweeps


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArgumentError, match="cache_dir"):
        CacheFolder(tmp_path / "file" / "cache")
    with pytest.raises(ArgumentError, match="positive"):
        CacheFolder(tmp_path, limit=0)
