"""Buckets: where they lie, which credentials are tried, which are kept back, absent and refused, faults of each kind.

The demo's server stands for all clouds here: a bucket's address on another server is a folder there, and it does not
mind signatures. Servers of the clouds' own kinds are tried in integration/test_storage_servers.py.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.cachefolder import CacheFolder
from imageryclient.demo.faults import Fault
from imageryclient.demo.server import DemoServer
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import (
    AccessError,
    DamagedDataError,
    MissingDataWarning,
    NotFoundError,
    SourceError,
    StorageError,
    StorageTimeoutError,
)
from imageryclient.storage import Patience, Store, WebStore, open_store
from imageryclient.storage.address import Bucket, bucket_at
from imageryclient.storage.amazon import amazon_credentials
from imageryclient.storage.azure import azure_credentials
from imageryclient.storage.bucket import BucketStore
from imageryclient.storage.google import google_credentials
from imageryclient.storage.network import client_options
from imageryclient.volumes.precomputed import PrecomputedVolume
from scripted import Answer, Asked, scripted

QUICK = Patience(timeout=2.0, connect_timeout=1.0)
EM = np.asfortranarray(np.random.default_rng(4).integers(1, 256, (50, 41, 13), dtype=np.uint8))
KINDS = {"s3": "s3://em", "gs": "gs://em", "az": "az://account/em"}
SECRET = "tokentokentokentoken"


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without credentials, on a machine without a role."""
    for name in os.environ:
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_", "GCE_", "CLOUD_", "CLOUDSDK_")) and name != "AWS_CA_BUNDLE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setattr("imageryclient.storage.azure.machine_answers", lambda *asked: False)
    monkeypatch.setattr("shutil.which", lambda program: None)


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(scripted(answer))


@pytest.fixture
def layer(tmp_path: Path, server: Any) -> DemoServer:
    """A server of one raw layer, `em`."""
    write_precomputed(tmp_path / "em", [(EM, Layout(resolution=(8, 8, 40), chunk_size=(20, 16, 8)))], kind="image")
    return server(tmp_path)


def home() -> Path:
    return Path(os.environ["HOME"])


def names(found: Iterator[Any]) -> list[str]:
    return [credentials.name for credentials in found]


# ---- addresses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "bucket", "path", "public"),
    [
        ("gs://b/a/c", Bucket("gs", "b"), "a/c", ("https://storage.googleapis.com", "b/")),
        ("s3://b/a", Bucket("s3", "b"), "a", ("https://b.s3.amazonaws.com", "")),
        ("s3://b", Bucket("s3", "b"), "", ("https://b.s3.amazonaws.com", "")),
        ("s3://b.org/my%20a", Bucket("s3", "b.org"), "my a", ("https://s3.amazonaws.com", "b.org/")),
        ("az://acc/c/a", Bucket("az", "c", "acc"), "a", ("https://acc.blob.core.windows.net", "c/")),
        ("https://storage.googleapis.com/b/my%20a/", Bucket("gs", "b"), "my a", None),
        ("https://b.s3.amazonaws.com/a", Bucket("s3", "b"), "a", None),
        ("https://b.s3.us-west-2.amazonaws.com/a", Bucket("s3", "b"), "a", None),
        ("https://s3.us-west-2.amazonaws.com/b/a", Bucket("s3", "b"), "a", None),
        ("https://s3.amazonaws.com/b/a", Bucket("s3", "b"), "a", None),
        ("https://acc.blob.core.windows.net/c/a", Bucket("az", "c", "acc"), "a", None),
    ],
)
def test_addresses(url: str, bucket: Bucket, path: str, public: tuple[str, str] | None) -> None:
    assert bucket_at(url) == (bucket, path)
    assert public is None or bucket.public() == public
    assert isinstance(open_store(url), BucketStore)


def test_addresses_that_are_no_buckets() -> None:
    for url in ("https://example.org/b/a", "http://storage.googleapis.com/b/a", "https://storage.googleapis.com/"):
        assert bucket_at(url) is None
    assert isinstance(open_store("https://storage.googleapis.com/b/a", token="a token"), WebStore)
    for url in ("s3://", "gs:///a", "az://account", "az://"):
        with pytest.raises(SourceError, match="names no"):
            open_store(url)


def test_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    given = bucket_at("s3://b/a", "http://127.0.0.1:9000/")
    assert given is not None
    assert (given[0].endpoint, given[0].trusted) == ("http://127.0.0.1:9000", False)
    assert given[0].public() == ("http://127.0.0.1:9000", "b/")
    for variable, url in (
        ("AWS_ENDPOINT_URL", "s3://b"),
        ("AWS_ENDPOINT_URL_S3", "s3://b"),
        ("STORAGE_EMULATOR_HOST", "gs://b"),
        ("AZURE_STORAGE_ENDPOINT", "az://acc/b"),
    ):
        monkeypatch.setenv(variable, "127.0.0.1:9001")
        named = bucket_at(url)
        assert named is not None
        assert (named[0].endpoint, named[0].trusted) == ("http://127.0.0.1:9001", True)
        assert bucket_at("https://b.s3.amazonaws.com/a") == (Bucket("s3", "b"), "a")  # an address means what it says
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
    emulated = bucket_at("az://devstoreaccount1/b")
    assert emulated is not None
    assert emulated[0].endpoint == "http://127.0.0.1:10000/devstoreaccount1"


# ---- what is tried ----------------------------------------------------------------------------------------------


def signed_only(asked: Asked) -> Answer:
    if "authorization" not in asked.headers:
        return Answer(403, b"<Error><Code>AccessDenied</Code></Error>")
    return Answer(body=b"here", headers={"ETag": '"1"', "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"})


def use(kind: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a server, and credentials for it, as users of a cloud do."""
    values = {
        "s3": {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "AKIAKEY", "AWS_SECRET_ACCESS_KEY": SECRET},
        "gs": {"STORAGE_EMULATOR_HOST": url, "GOOGLE_BEARER_TOKEN": SECRET},
        "az": {"AZURE_STORAGE_ENDPOINT": url, "AZURE_STORAGE_ACCOUNT_KEY": "c2VjcmV0c2VjcmV0"},
    }
    for name, value in values[kind].items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("kind", KINDS)
def test_public_buckets_are_read_unsigned(kind: str, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(lambda asked: Answer(body=b"here"))
    use(kind, server.url, monkeypatch)
    store = open_store(f"{KINDS[kind]}/a", patience=QUICK)
    assert store.get("x/y").data == b"here"
    assert [asked.path for asked in server.asked] == ["/em/a/x/y"]
    assert not any("authorization" in asked.headers for asked in server.asked)


@pytest.mark.parametrize("kind", KINDS)
def test_credentials_where_a_bucket_asks_for_them(kind: str, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(signed_only)
    use(kind, server.url, monkeypatch)
    store = open_store(f"{KINDS[kind]}/a", patience=QUICK)
    assert store.get("x").data == b"here"
    assert ["authorization" in asked.headers for asked in server.asked] == [False, True]
    assert store.get("y").data == b"here"
    other = open_store(f"{KINDS[kind]}/b", patience=QUICK)
    assert other.get("x").data == b"here"
    assert len(server.asked) == 4  # what works is remembered for the bucket
    assert SECRET not in repr(store)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_tried_is_said(kind: str, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(lambda asked: Answer(403, f"<Error><Code>AccessDenied</Code>{asked.headers}</Error>".encode()))
    use(kind, server.url, monkeypatch)
    with pytest.raises(AccessError) as caught:
        open_store(f"{KINDS[kind]}/a", patience=QUICK).get("info")
    for words in (
        f"{KINDS[kind]}/a/info",
        "Tried: without credentials (403 Forbidden, AccessDenied)",
        "of the environment (403",
    ):
        assert words in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)
    server.answer = signed_only  # a refusal is not remembered
    assert open_store(f"{KINDS[kind]}/a", patience=QUICK).get("info").data == b"here"


@pytest.mark.parametrize("kind", ["gs", "az"])
def test_a_server_that_a_source_names_gets_no_bearer_token(
    kind: str, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(signed_only)
    use(kind, "http://127.0.0.1:9", monkeypatch)
    monkeypatch.setenv("AZURE_STORAGE_TOKEN", SECRET)
    with pytest.raises(AccessError, match="none are sent to a server that a source names"):
        open_store(KINDS[kind], patience=QUICK, endpoint=server.url).get("info")
    assert not any("authorization" in asked.headers for asked in server.asked)


def test_a_server_that_a_source_names_may_be_signed_for(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(signed_only)  # a signature lets its reader do no more than what it signs
    use("s3", "http://127.0.0.1:9", monkeypatch)
    assert open_store("s3://em", patience=QUICK, endpoint=server.url).get("info").data == b"here"
    assert SECRET not in str([asked.headers for asked in server.asked])


def test_credentials_that_expire_are_looked_for_again(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    valid = "FIRSTKEY"

    def answer(asked: Asked) -> Answer:
        if f"Credential={valid}/" in asked.headers.get("authorization", ""):
            return Answer(body=b"here")
        return Answer(403, b"<Error><Code>ExpiredToken</Code></Error>")

    use("s3", serve(answer).url, monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", valid)
    store = open_store("s3://em", patience=QUICK)
    assert store.get("a").data == b"here"
    valid = "OTHERKEY"
    with pytest.raises(AccessError, match="ExpiredToken"):
        store.get("b")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", valid)
    assert store.get("b").data == b"here"
    assert store.get("c").data == b"here"
    valid = "THIRDKEY"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", valid)
    assert store.get("d").data == b"here"


def test_certificates_are_checked_wherever_credentials_are_sent(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def noted(url: str, *rest: Any, **options: Any) -> Any:
        made.append(client_options(url, *rest, **options))
        return made[-1]

    monkeypatch.setattr("imageryclient.storage.ways.client_options", noted)
    for kind, address in KINDS.items():
        use(kind, serve(signed_only).url, monkeypatch)
        assert open_store(address, patience=QUICK).get("a").data == b"here"
    assert len(made) == 3
    assert not any("allow_invalid_certificates" in options for options in made)


# ---- where credentials are found --------------------------------------------------------------------------------


def test_keys_of_the_aws_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home() / ".aws"
    folder.mkdir()
    (folder / "config").write_text(
        "[default]\nregion = eu-west-1\n[profile lab]\nregion = us-west-2\n[profile sso]\nsso_session = x\n"
    )
    (folder / "credentials").write_text(
        "[default]\naws_access_key_id = A\naws_secret_access_key = SSSS\n[lab]\naws_access_key_id = B\n"
        "aws_secret_access_key = TTTT\naws_session_token = UUUU\n"
    )
    (found,) = amazon_credentials("b", [])
    assert found.name == "the AWS profile 'default'"
    assert found.options == {"region": "eu-west-1"}
    assert found.provider is not None
    assert found.provider()["access_key_id"] == "A"
    assert "SSSS" not in repr(found)
    monkeypatch.setenv("AWS_PROFILE", "lab")
    (found,) = amazon_credentials("b", [])
    assert found.provider is not None
    assert found.provider() == {
        "access_key_id": "B", "secret_access_key": "TTTT", "token": "UUUU", "expires_at": None,
    }  # fmt: skip
    monkeypatch.setenv("AWS_PROFILE", "sso")
    monkeypatch.setattr("imageryclient.storage.amazon.find_spec", lambda name: None)
    notes: list[str] = []
    assert not list(amazon_credentials("b", notes))
    assert any("pip install boto3" in note for note in notes)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "other"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    (folder / "other").write_text("[lab]\naws_access_key_id = C\naws_secret_access_key = VVVV\n")
    (found,) = amazon_credentials("b", [])
    assert found.provider is not None
    assert found.provider()["access_key_id"] == "C"
    (folder / "other").write_text("not an ini file")
    assert not list(amazon_credentials("b", []))


def test_the_order_of_amazons(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, name in ((".cloudvolume", "aws"), (".cloudvolume", "b-aws"), (".cloudfiles", "c-aws")):
        (home() / folder / "secrets").mkdir(parents=True, exist_ok=True)
        document = {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": "XXXX", "AWS_DEFAULT_REGION": "us-east-2"}
        (home() / folder / "secrets" / f"{name}-secret.json").write_text(json.dumps(document))
    (home() / ".aws").mkdir()
    (home() / ".aws" / "credentials").write_text("[default]\naws_access_key_id = A\naws_secret_access_key = SSSS\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "E")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "EEEE")
    secrets = home() / ".cloudvolume" / "secrets"
    assert names(amazon_credentials("b", [])) == [
        "AWS_ACCESS_KEY_ID of the environment",
        "the AWS profile 'default'",
        str(secrets / "b-aws-secret.json"),
        str(secrets / "aws-secret.json"),
    ]
    assert str(home() / ".cloudfiles" / "secrets" / "c-aws-secret.json") in names(amazon_credentials("c", []))
    last = list(amazon_credentials("b", []))[-1]
    assert last.options == {"region": "us-east-2"}
    monkeypatch.setenv("CLOUD_VOLUME_DIR", str(home() / "elsewhere"))
    assert len(names(amazon_credentials("b", []))) == 2
    monkeypatch.setenv("CLOUD_FILES_DIR", str(home() / ".cloudvolume"))
    assert len(names(amazon_credentials("b", []))) == 4
    (secrets / "aws-secret.json").write_text("{")
    (secrets / "b-aws-secret.json").write_text("{}")
    notes: list[str] = []
    assert len(names(amazon_credentials("b", notes))) == 2
    assert any("aws-secret.json cannot be read" in note for note in notes)
    assert any("b-aws-secret.json names no AWS_ACCESS_KEY_ID" in note for note in notes)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x")
    assert names(amazon_credentials("b", []))[0] == "the role that AWS_CONTAINER_CREDENTIALS_RELATIVE_URI names"


def test_the_role_of_a_machine(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def metadata(asked: Asked) -> Answer:
        keys = {"AccessKeyId": "M", "SecretAccessKey": "MMMM", "Token": "TTTT", "Expiration": "2099-01-01T00:00:00Z"}
        if asked.path.endswith("/token"):
            return Answer(body=b"session")
        if asked.path.endswith("/security-credentials/"):
            return Answer(body=b"role")
        return Answer(body=json.dumps({**keys, "Code": "Success", "LastUpdated": "2020-01-01T00:00:00Z"}).encode())

    machine, server = serve(metadata), serve(signed_only)
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", machine.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    assert open_store("s3://em", patience=QUICK).get("info").data == b"here"
    assert "Credential=M/" in server.asked[-1].headers["authorization"]
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    notes: list[str] = []
    assert not list(amazon_credentials("b", notes))
    assert "this machine has no role" in notes


def test_googles(monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = Bucket("gs", "b"), Bucket("gs", "b", endpoint="http://127.0.0.1:9")
    notes: list[str] = []
    assert not list(google_credentials(own, notes))
    assert any("gcloud auth" in note for note in notes)
    secrets = home() / ".cloudvolume" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "google-secret.json").write_text(json.dumps({"type": "service_account", "project_id": "p"}))
    (secrets / "b-google-secret.json").write_text(json.dumps({"project_id": "p"}))
    config = home() / ("gcloud" if os.name == "nt" else ".config/gcloud")
    monkeypatch.setenv("APPDATA", str(home()))
    config.mkdir(parents=True)
    default = config / "application_default_credentials.json"
    default.write_text(json.dumps({"type": "authorized_user"}))
    assert names(google_credentials(own, [])) == [
        "gcloud's application default credentials",
        str(secrets / "b-google-secret.json"),
        str(secrets / "google-secret.json"),
    ]
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(default))
    assert names(google_credentials(own, []))[0] == "GOOGLE_APPLICATION_CREDENTIALS"
    monkeypatch.setattr("imageryclient.storage.google.find_spec", lambda name: None)
    default.write_text(json.dumps({"type": "external_account"}))
    notes.clear()
    assert len(names(google_credentials(own, notes))) == 2
    assert any("pip install google-auth" in note for note in notes)
    assert not names(google_credentials(other, []))  # a user's own tokens stay with Google
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", SECRET)
    assert names(google_credentials(other, [])) == ["GOOGLE_BEARER_TOKEN of the environment"]
    untrusted = Bucket("gs", "b", endpoint="http://127.0.0.1:9", trusted=False)
    assert not names(google_credentials(untrusted, []))


def test_azures(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Bucket("az", "c", "acc")
    notes: list[str] = []
    assert not list(azure_credentials(own, notes))
    assert any("(az) is not installed" in note for note in notes)
    monkeypatch.setattr("shutil.which", lambda program: "/bin/az")
    assert names(azure_credentials(own, [])) == ["the Azure command line"]
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountName=acc;AccountKey=QUJD;EndpointSuffix=x")
    first = next(azure_credentials(own, []))
    assert first.options == {"account_key": "QUJD", "credential_type": "access_key"}
    assert "QUJD" not in repr(first)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "BlobEndpoint=x;SharedAccessSignature=sv=1&sig=abcd")
    assert next(azure_credentials(own, [])).options == {"sas_key": "sv=1&sig=abcd", "credential_type": "sas_token"}
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountName=other;AccountKey=QUJD")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "QUJD")
    assert names(azure_credentials(own, notes))[0] == "AZURE_STORAGE_ACCOUNT_KEY of the environment"
    assert any("of the account other" in note for note in notes)


def test_credentials_that_cannot_be_used_are_passed_over(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use("gs", serve(signed_only).url, monkeypatch)
    monkeypatch.delenv("GOOGLE_BEARER_TOKEN")
    broken = home() / "broken.json"
    broken.write_text("{}")
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(broken))
    with pytest.raises(AccessError, match="GOOGLE_SERVICE_ACCOUNT of the environment cannot be used"):
        open_store("gs://em", patience=QUICK).get("info")


# ---- absent and refused -----------------------------------------------------------------------------------------


def volume(store: Store) -> PrecomputedVolume:
    return PrecomputedVolume.open(store.url, store)


@pytest.mark.parametrize("kind", KINDS)
def test_absences_that_a_bucket_hides(kind: str, tmp_path: Path, layer: DemoServer) -> None:
    chunks = sorted((tmp_path / "em" / "8_8_40").iterdir())
    for file in (chunks[2], chunks[5]):
        file.unlink()
    hidden = "|".join((chunks[2].name, chunks[5].name, "never-written"))
    layer.faults = [Fault(hidden, status=403)]
    store = open_store(KINDS[kind], patience=QUICK, endpoint=f"{layer.url}/data")
    whole = volume(store)
    block = whole.read(whole.info.scales[0].bounds, whole.info.scales[0])
    assert not block.coverage.complete
    expected = EM.copy()
    for file in (chunks[2], chunks[5]):
        expected[tuple(slice(*map(int, part.split("-"))) for part in file.name.split("_"))] = 0
    assert np.array_equal(block.data, expected)
    probes = [path for path in layer.requests.paths if "never-written" in path]
    assert len(probes) == 1  # once for the folder, not for each absence


def test_a_cutout_warns_of_absences_that_a_bucket_hides(
    tmp_path: Path, layer: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "em" / "8_8_40" / "20-40_0-16_0-8").unlink()
    layer.faults = [Fault("20-40_0-16_0-8|never-written", status=403)]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{layer.url}/data")
    reader = ic.ImageryClient(image_source="precomputed://s3://em", timeout=2.0)
    with pytest.warns(MissingDataWarning):
        got = reader.image_cutout([[0, 0, 0], EM.shape])
    assert not got[20:40, :16, :8].any()


def test_absences_that_a_bucket_hides_beside_what_a_cache_holds(tmp_path: Path, layer: DemoServer) -> None:
    folder = tmp_path / "em" / "8_8_40"
    (folder / "absent").write_bytes(b"")
    layer.faults = [Fault("absent|never-written", status=403)]
    disk = CacheFolder(tmp_path / "cache")
    url = f"{layer.url}/data"
    for timeout in (2.2, 2.3):  # the second as in another process
        store = open_store("s3://em", patience=Patience(timeout=timeout), disk=disk, endpoint=url)
        assert store.get("info").data
        assert store.get("8_8_40/0-20_0-16_0-8").data
        layer.requests.clear()
        assert store.get("8_8_40/absent").data is None
        ic.clear_cache()
    assert [request.header("Range") for request in layer.requests] == ["", "", "bytes=0-0"]


def test_refusals_are_no_absences(layer: DemoServer) -> None:
    store = open_store("s3://em", patience=QUICK, endpoint=f"{layer.url}/data")
    layer.faults = [Fault("20-40_0-16_0-8", status=403)]  # but keys that do not exist are answered 404
    whole = volume(store)
    with pytest.raises(
        AccessError, match=r"20-40_0-16_0-8: access refused \(403 Forbidden\) without credentials\. Not"
    ):
        whole.read(whole.info.scales[0].bounds, whole.info.scales[0])
    ic.clear_cache()
    layer.faults = [Fault("8_8_40/", status=403)]  # none of the folder can be read
    store = open_store("s3://em", patience=Patience(timeout=2.1), endpoint=f"{layer.url}/data")
    whole = volume(store)
    with pytest.raises(AccessError, match="nothing of the same folder can be read"):
        whole.read(whole.info.scales[0].bounds, whole.info.scales[0])


def test_a_refusal_waits_for_what_else_is_read_of_its_folder(serve: Any) -> None:
    started = threading.Event()

    def answer(asked: Asked) -> Answer:
        if asked.path == "/em/a/slow":
            started.set()
            time.sleep(0.5)
            return Answer(body=b"slow")
        return Answer(body=b"{}") if asked.path == "/em/info" else Answer(403)

    store = open_store("s3://em", patience=QUICK, endpoint=serve(answer).url)
    assert store.get("info").data == b"{}"
    thread = threading.Thread(target=store.get, args=("a/slow",))
    thread.start()
    assert started.wait(5)
    assert store.get("a/absent").data is None
    thread.join()
    with pytest.raises(AccessError):
        store.get("b/absent")


def test_credentials_that_may_list_tell_absences(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path == "/em/info":
            return Answer(body=b"{}")
        return Answer(404 if "authorization" in asked.headers else 403)

    server = serve(answer)
    use("s3", server.url, monkeypatch)
    store = open_store("s3://em", patience=QUICK)
    assert store.get("info").data == b"{}"
    assert store.get("a/absent").data is None
    assert not any("never-written" in asked.path for asked in server.asked)


@pytest.mark.parametrize(
    ("kind", "code"), [("s3", "NoSuchBucket"), ("gs", "NoSuchBucket"), ("az", "ContainerNotFound")]
)
def test_a_bucket_that_does_not_exist(kind: str, code: str, serve: Any) -> None:
    server = serve(lambda asked: Answer(404, f"<Error><Code>{code}</Code></Error>".encode()))
    with pytest.raises(NotFoundError, match=f"no such bucket.*{code}"):
        open_store(KINDS[kind], patience=QUICK, endpoint=server.url).get("info")


def test_a_container_that_is_not_public(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for status, code in ((404, "ResourceNotFound"), (409, "PublicAccessNotPermitted")):

        def answer(asked: Asked, status: int = status, code: str = code) -> Answer:
            refused = Answer(status, f"<Error><Code>{code}</Code></Error>".encode())
            return signed_only(asked) if "authorization" in asked.headers else refused

        server = serve(answer)
        use("az", server.url, monkeypatch)
        assert open_store("az://account/em", patience=QUICK).get("info").data == b"here"
        assert len(server.asked) == 2


# ---- regions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["redirect", "malformed", "unsaid"])
def test_buckets_of_another_region(how: str, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(asked: Asked) -> Answer:
        signature = asked.headers.get("authorization", "")
        if asked.method == "HEAD":
            return Answer(301, headers={} if how == "unsaid" else {"x-amz-bucket-region": "eu-west-1"})
        if not signature:
            return Answer(403)
        if "/eu-west-1/s3/" in signature:
            return Answer(body=b"here")
        if how == "malformed":
            words = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
            return Answer(400, words)
        return Answer(301, b"<Error><Code>PermanentRedirect</Code></Error>")

    server = serve(answer)
    use("s3", server.url, monkeypatch)
    store = open_store("s3://em", patience=QUICK)
    if how == "unsaid":
        with pytest.raises(StorageError, match=r"another region than us-east-1.*set AWS_REGION"):
            store.get("info")
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert store.get("info").data == b"here"
    asked = len(server.asked)
    assert store.get("x").data == b"here"
    assert len(server.asked) == asked + 1  # the region is remembered


# ---- faults -----------------------------------------------------------------------------------------------------


@pytest.fixture(
    params=["http", "s3", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("s3 unsigned", "gs", "az"))]
)
def store(request: Any, layer: DemoServer, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The layer as a store of every kind; signed, where not said otherwise."""
    url = f"{layer.url}/data"
    patience = Patience(timeout=2.0)
    if request.param == "http":
        return open_store(f"{url}/em", patience=patience)
    kind = request.param.split()[0]
    use(kind, url, monkeypatch)
    made = open_store(KINDS[kind], patience=patience)
    if request.param != "s3 unsigned":
        layer.faults = [Fault("info", status=403, times=1)]  # so that credentials are used from here on
        assert made.get("info").data
        assert "Authorization".lower() in {name.lower() for name in layer.requests[-1].headers}
        ic.clear_cache()
    layer.faults = []
    layer.requests.clear()
    return made


NAME = "20-40_0-16_0-8"
CHUNK = NAME.replace("-", "(-|%2D)").replace("_", "(_|%5F)")  # as Google's are asked for
RIGHT = {
    "503 in 30 %": [Fault("", status=503, probability=0.3, seed=3)],
    "429, twice": [Fault(CHUNK, status=429, times=2)],
    "429, asking to wait": [Fault(CHUNK, status=429, headers=(("Retry-After", "0"),), times=7)],
    "reset, once": [Fault(CHUNK, reset=True, times=1)],
    "broken off, once": [Fault(CHUNK, truncate=100, times=1)],
    "short, once": [Fault(CHUNK, shorten=100, times=1)],
}
WRONG = {
    "503 for ever": ([Fault(CHUNK, status=503)], StorageError, "503"),
    "reset for ever": ([Fault(CHUNK, reset=True)], StorageError, "breaks the connection"),
    "broken off for ever": ([Fault(CHUNK, truncate=100)], DamagedDataError, "breaks off"),
    "short for ever": ([Fault(CHUNK, shorten=100)], DamagedDataError, "damaged"),
    "hangs for ever": ([Fault(CHUNK, hang=30)], StorageTimeoutError, "no answer in time"),
    "redirects for ever": ([Fault(CHUNK, status=302, headers=(("Location", NAME),))], StorageError, "without end"),
    "refused": ([Fault(CHUNK, status=403)], AccessError, "403"),
}


@pytest.mark.parametrize("fault", RIGHT)
def test_faults_that_pass(fault: str, store: Store, layer: DemoServer, request: Any) -> None:
    if fault == "429, asking to wait" and request.node.callspec.params["store"] in KINDS:
        pytest.skip("how long to wait is asked only where no signature is needed")
    whole = volume(store)
    layer.faults = RIGHT[fault]
    begun = time.perf_counter()
    block = whole.read(whole.info.scales[0].bounds, whole.info.scales[0])
    assert np.array_equal(block.data, EM)
    assert time.perf_counter() - begun < 6


@pytest.mark.parametrize("fault", WRONG)
def test_faults_that_stay(fault: str, store: Store, layer: DemoServer) -> None:
    faults, kind, words = WRONG[fault]
    whole = volume(store)
    layer.faults = faults
    begun = time.perf_counter()
    with pytest.raises(kind, match=words) as caught:
        whole.read(whole.info.scales[0].bounds, whole.info.scales[0])
    assert time.perf_counter() - begun < 8
    assert NAME in str(caught.value)
    assert "Debug source" not in str(caught.value)
    layer.faults = []
    block = whole.read(whole.info.scales[0].bounds, whole.info.scales[0])
    assert np.array_equal(block.data, EM)


def test_servers_that_cannot_be_reached(layer: DemoServer, store: Store) -> None:
    layer.stop()
    begun = time.perf_counter()
    with pytest.raises(StorageError, match="cannot be reached"):
        store.get("info")
    assert time.perf_counter() - begun < 5
