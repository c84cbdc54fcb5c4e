"""Volumes in buckets of real servers on loopback: moto (S3), gcp-storage-emulator (GCS), Azurite (Azure).

Their environment is made by `python tests/integration/servers_environment.py`; without it these tests are skipped.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import AccessError, NotFoundError
from imageryclient.scales import Sharding
from imageryclient.storage import Patience, open_store
from integration.servers_environment import azurite, servers_python

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
RNG = np.random.default_rng(6)
EM = np.asfortranarray(RNG.integers(1, 256, (90, 71, 23), dtype=np.uint8))
SEG = np.kron(RNG.integers(2**60, 2**63, (18, 15, 5), dtype=np.uint64), np.ones((5, 5, 5), np.uint64))[:90, :71, :23]
AT = {"resolution": (8, 8, 40), "chunk_size": (32, 24, 8)}
SHARDING = Sharding(1, "murmurhash3_x86_128", 2, 1, "gzip", "gzip")
LAYERS = {
    "em": (EM, Layout(**AT, encoding="png")),
    "em gzip": (EM, Layout(**AT, encoding="raw", compress="gzip")),
    "em sharded": (EM, Layout(**AT, encoding="raw", sharding=SHARDING)),
    "seg": (SEG, Layout(**AT, encoding="compressed_segmentation", compress="gzip")),
    "seg sharded": (SEG, Layout(**AT, encoding="compressed_segmentation", sharding=SHARDING)),
}
PATIENCE = Patience(timeout=10.0)
# Azurite's own, which its documents tell.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture(scope="session")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layers")
    for name, (array, layout) in LAYERS.items():
        kind = "image" if array is EM else "segmentation"
        write_precomputed(folder / name, [(array, layout)], kind=kind)
    return folder


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_", "GCE_", "STORAGE_")) and name != "AWS_CA_BUNDLE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def upload(store: Any, folder: Path, prefix: str = "") -> int:
    """Put the files of a folder into a bucket, compressed ones under their plain names, as CloudVolume does."""
    count = 0
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            name = prefix + file.relative_to(folder).as_posix()
            gzipped = name.endswith(".gz")
            attributes = {"Content-Encoding": "gzip"} if gzipped else None
            store.put(name.removesuffix(".gz") if gzipped else name, file.read_bytes(), attributes=attributes)
            count += 1
    return count


def agree(source: Callable[[str], str], boxes: int = 12) -> None:
    """Read random boxes of every layer and compare them with the arrays."""
    rng = np.random.default_rng(1)
    for name, (array, _) in LAYERS.items():
        layer = "image_source" if array is EM else "segmentation_source"
        reader = ic.ImageryClient(**{layer: source(name)}, timeout=10.0)
        read = reader.image_cutout if array is EM else reader.segmentation_cutout
        for _ in range(boxes):
            low = rng.integers(0, array.shape)
            high = np.minimum(low + rng.integers(1, 60, 3), array.shape)
            expected = array[tuple(map(slice, low, high))]
            got = read([low, high])
            assert np.array_equal(got.astype(np.uint64), np.squeeze(expected).astype(np.uint64)), (name, low, high)


@contextlib.contextmanager
def started(command: list[Any], **options: Any) -> Iterator[Any]:
    """Run a program until the block ends."""
    arguments = [str(part) for part in command]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(port: int, process: Any) -> None:
    for _ in range(300):
        assert process.poll() is None, "the server ended at once"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server does not start")


def python() -> Path:
    found = servers_python()
    if found is None:
        pytest.skip("the servers are not installed: make them with `python tests/integration/servers_environment.py`")
    return found


# ---- S3 ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def moto(layers: Path) -> Iterator[Callable[[str], dict[str, Any]]]:
    """S3 servers: "open" takes any signature, "checked" checks signatures and permissions."""
    running: dict[str, dict[str, Any]] = {}

    def give(how: str) -> dict[str, Any]:
        from obstore.store import S3Store

        if how not in running:
            process = stack.enter_context(started([python(), HERE / "s3_server.py", how], stdout=subprocess.PIPE))
            running[how] = told = json.loads(process.stdout.readline())
            for bucket in ("private", "public", "dotted.name") if how == "open" else ("private",):
                config: Any = {**keys(told["admin"]), "endpoint": told["url"], "region": "us-east-1"}
                store = S3Store(bucket, config=config, client_options={"allow_http": True})
                assert upload(store, layers) > 80
        return running[how]

    with contextlib.ExitStack() as stack:
        yield give


def keys(user: dict[str, str]) -> dict[str, str]:
    return {"access_key_id": user["key"], "secret_access_key": user["secret"]}


def sign_in(user: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", user["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", user["secret"])


@pytest.mark.parametrize("bucket", ["public", "dotted.name"])
def test_public_volumes_in_s3(bucket: str, moto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto("open")["url"])
    agree(lambda name: f"precomputed://s3://{bucket}/{quote(name)}")


def test_private_volumes_in_s3(moto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = moto("checked")
    monkeypatch.setenv("AWS_ENDPOINT_URL", told["url"])
    sign_in(told["admin"], monkeypatch)
    agree(lambda name: f"precomputed://s3://private/{quote(name)}")


def test_an_endpoint_in_the_source(moto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = moto("open")
    sign_in(told["admin"], monkeypatch)
    store = open_store("s3://private/em", patience=PATIENCE, endpoint=told["url"])
    assert json.loads(store.get("info").data or b"")["type"] == "image"
    assert store.get("8_8_40/nothing").data is None
    whole = store.get("8_8_40/0-32_0-24_0-8").data or b""
    assert store.get_range("8_8_40/0-32_0-24_0-8", 5, 50).data == whole[5:50]
    assert store.get_range("8_8_40/0-32_0-24_0-8", -9, 0).data == whole[-9:]


def test_credentials_of_every_place_for_s3(moto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = moto("checked")
    monkeypatch.setenv("AWS_ENDPOINT_URL", told["url"])
    home = Path(os.environ["HOME"])
    secrets = home / ".cloudvolume" / "secrets"
    secrets.mkdir(parents=True)
    (home / ".aws").mkdir()

    times = itertools.count(11)

    def read() -> bytes | None:
        ic.clear_cache()
        # What works is remembered for a bucket and its time-outs, so others make it look again.
        return open_store("s3://private/em", patience=Patience(timeout=next(times))).get("info").data

    with pytest.raises(AccessError, match=r"without credentials \(403 Forbidden\)"):
        read()
    name = secrets / "aws-secret.json"
    for path in (name, secrets / "private-aws-secret.json"):
        user = told["admin"]
        document = {"AWS_ACCESS_KEY_ID": user["key"], "AWS_SECRET_ACCESS_KEY": user["secret"]}
        path.write_text(json.dumps({**document, "AWS_DEFAULT_REGION": "us-east-1"}))
        assert read()
        path.unlink()
    profile = "[lab]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    (home / ".aws" / "credentials").write_text(profile.format(**told["reader"]))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert read()
    sign_in(told["nobody"], monkeypatch)  # is tried first, refused, and passed over
    assert read()
    (home / ".aws" / "credentials").write_text(profile.format(key=told["reader"]["key"], secret="wrongwrongwrong"))
    with pytest.raises(AccessError) as caught:
        read()
    said = str(caught.value)
    for words in (
        "AWS_ACCESS_KEY_ID of the environment (403 Forbidden, AccessDenied)",
        "the AWS profile 'lab' (403 Forbidden, SignatureDoesNotMatch)",
        "aws-secret.json",
    ):
        assert words in said
    for secret in ("wrongwrongwrong", told["nobody"]["secret"]):
        assert secret not in said
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
    with pytest.raises(AccessError, match="InvalidAccessKeyId"):
        read()


def test_buckets_of_s3_that_are_not_there(moto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = moto("open")
    monkeypatch.setenv("AWS_ENDPOINT_URL", told["url"])
    for _ in range(2):
        with pytest.raises(NotFoundError, match="no such bucket"):
            ic.ImageryClient(image_source="precomputed://s3://nowhere/em").image_cutout([[0, 0, 0], [1, 1, 1]])
        sign_in(told["admin"], monkeypatch)
    with pytest.raises(NotFoundError, match="public/nothing"):
        ic.ImageryClient(image_source="precomputed://s3://public/nothing").image_cutout([[0, 0, 0], [1, 1, 1]])


# ---- GCS --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def google(layers: Path) -> Iterator[str]:
    """A server of Google's kind that asks for no credentials; it knows neither Content-Encoding nor Last-Modified."""
    import urllib3

    port = free_port()
    command = [
        python().with_name("gcp-storage-emulator"),
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        port,
        "--in-memory",
    ]
    url = f"http://127.0.0.1:{port}"

    class Uploading:
        pool = urllib3.PoolManager()

        def put(self, name: str, data: bytes, attributes: object) -> None:
            address = f"{url}/upload/storage/v1/b/bucket/o?uploadType=media&name={quote(name, safe='')}"
            kind = {"Content-Type": "application/octet-stream"}
            assert self.pool.request("POST", address, body=data, headers=kind).status == 200

    with started([*command, "--quiet", "--default-bucket", "bucket"], stdout=subprocess.DEVNULL) as process:
        wait_for(port, process)
        assert upload(Uploading(), layers) > 80
        yield url


def test_public_volumes_in_gcs(google: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google)
    agree(lambda name: f"precomputed://gs://bucket/{quote(name)}")
    store = open_store("gs://bucket/em", patience=PATIENCE)
    assert store.get("8_8_40/nothing").data is None


# ---- Azure ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def azure(layers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Azurite, with a private and a public container."""
    import urllib3
    from obstore.store import AzureStore

    program = azurite()
    if program is None:
        pytest.skip("Azurite is not installed: `python tests/integration/servers_environment.py`, which takes npm")
    port = free_port()
    quiet = ("--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry")
    folder = tmp_path_factory.mktemp("azurite")
    url = f"http://127.0.0.1:{port}/{ACCOUNT}"
    pool = urllib3.PoolManager()

    def create(name: str, access: dict[str, str]) -> None:
        date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"x-ms-date": date, "x-ms-version": "2021-08-06", **access}
        told = "".join(f"{key}:{headers[key]}\n" for key in sorted(headers))
        text = "PUT" + 12 * "\n" + f"{told}/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
        signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
        headers |= {"Authorization": f"SharedKey {ACCOUNT}:{signature}", "Content-Length": "0"}
        assert pool.request("PUT", f"{url}/{name}?restype=container", headers=headers).status == 201

    command = [shutil.which("node"), program, "--blobPort", port, *quiet]
    with started(command, stdout=subprocess.DEVNULL, cwd=folder) as process:
        wait_for(port, process)
        for name, access in (("private", {}), ("public", {"x-ms-blob-public-access": "blob"})):
            create(name, access)
            config: Any = {"endpoint": url, "account_name": ACCOUNT, "account_key": KEY}
            assert upload(AzureStore(name, config=config, client_options={"allow_http": True}), layers) > 80
        yield url


def test_public_volumes_in_azure(azure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", azure)
    agree(lambda name: f"precomputed://az://{ACCOUNT}/public/{quote(name)}")


@pytest.mark.parametrize("given", ["key", "connection string", "emulator"])
def test_private_volumes_in_azure(given: str, azure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if given == "emulator":
        monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
        monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", azure.removesuffix(f"/{ACCOUNT}"))
    else:
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", azure)
    if given == "key":
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    if given == "connection string":
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=x")
    store = open_store(f"az://{ACCOUNT}/private/em", patience=PATIENCE)
    whole = store.get("8_8_40/0-32_0-24_0-8").data or b""
    assert store.get_range("8_8_40/0-32_0-24_0-8", -9, 0).data == whole[-9:] != b""
    assert store.get("8_8_40/nothing").data is None
    agree(lambda name: f"precomputed://az://{ACCOUNT}/private/{quote(name)}", boxes=12 if given == "key" else 2)


def test_refusals_of_azure(azure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", azure)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", base64.b64encode(b"not the key at all").decode())
    with pytest.raises(AccessError, match="AZURE_STORAGE_ACCOUNT_KEY of the environment"):
        open_store(f"az://{ACCOUNT}/private/em", patience=Patience(timeout=9.0)).get("info")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    with pytest.raises(NotFoundError, match="no such bucket"):
        open_store(f"az://{ACCOUNT}/nowhere/em", patience=PATIENCE).get("info")
