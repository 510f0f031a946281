"""Images lie in a folder or in an S3-compatible store, by the same promises. The store is a real server over HTTP."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from inspection.archive import Archive
from inspection.archive_settings import ObjectStoreSettings, Secret
from inspection.config import ConfigInvalid
from inspection.detector import Detector
from inspection.errors import OutputNotWritable
from inspection.frames import read_frame
from inspection.image_store import ImageChanged, ImageMissing, Images, ImageStore, ImagesUnreachable
from inspection.object_store import ObjectStore
from inspection.recipe import Recipe
from inspection.station import Station
from inspection.verify import verify_archive

BUCKET = "inspection"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server with a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client(address).create_bucket(Bucket=BUCKET)
    yield address
    server.stop()


def client(address: str):  # type: ignore[no-untyped-def]
    return boto3.client("s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="k",
                        aws_secret_access_key="s")  # fmt: skip


def store_at(address: str, prefix: str, timeout_s: float = 5.0) -> ObjectStore:
    secrets = {"access_key": Secret(env="TEST_S3_KEY"), "secret_key": Secret(env="TEST_S3_SECRET")}
    return ObjectStore(
        ObjectStoreSettings(bucket=BUCKET, prefix=prefix, endpoint=address, timeout_s=timeout_s, **secrets)
    )


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_S3_KEY", "k")
    monkeypatch.setenv("TEST_S3_SECRET", "s")


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Images, Callable[[str, bytes], None]]:
    """A store, and a way to write into it past its back."""
    if request.param == "folder":
        local = ImageStore(tmp_path)
        local.claim()
        return local, lambda name, data: local.path(name).write_bytes(data)
    address, prefix = request.getfixturevalue("s3"), f"line/{time.monotonic_ns()}"
    put = client(address).put_object
    return store_at(address, prefix), lambda name, data: put(
        Bucket=BUCKET, Key=f"{prefix}/{name[:2]}/{name}", Body=data
    )


def test_what_is_stored_comes_back_once_and_checked(place: tuple[Images, Callable[[str, bytes], None]]) -> None:
    store, tamper = place
    first, second = store.put(b"picture", ".PNG"), store.put(b"other", ".npy")
    assert store.put(b"picture", ".png") == first
    assert (store.get(first), store.get(second)) == (b"picture", b"other")
    assert sorted(store.names()) == sorted([first, second])
    tamper(first, b"forged")
    with pytest.raises(ImageChanged):
        store.get(first)
    store.delete(second)
    store.delete(second)
    with pytest.raises(ImageMissing):
        store.get(second)
    assert list(store.names()) == [first]


@pytest.mark.parametrize("name", ["../../etc/passwd", "x" * 64 + ".png", "a" * 64, "a" * 64 + "./../x"])
def test_a_name_leads_nowhere_else(name: str, place: tuple[Images, Callable[[str, bytes], None]]) -> None:
    for do in (place[0].get, place[0].delete):
        with pytest.raises(ImageMissing):
            do(name)


def test_a_store_that_is_gone_is_a_fault_within_seconds() -> None:
    began = time.monotonic()
    with pytest.raises(OutputNotWritable, match="did not take an image"):
        store_at("http://127.0.0.1:9", "x", timeout_s=1.0).put(b"picture", ".png")
    with pytest.raises(ImagesUnreachable):
        store_at("http://127.0.0.1:9", "x", timeout_s=1.0).get("a" * 64 + ".png")
    assert time.monotonic() - began < 15


def test_a_secret_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_S3_SECRET")
    with pytest.raises(ConfigInvalid, match="TEST_S3_SECRET is empty"):
        store_at("http://127.0.0.1:9", "x")


def test_a_station_records_into_postgresql_and_s3(
    s3: str, tmp_path: Path, recipe: Recipe, detector: Detector, vial_images: dict[str, list[Path]],
    postgresql: "object",
) -> None:  # fmt: skip
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "archive.yaml").write_text(
        f"database: {postgresql.new_database()}\n"  # type: ignore[attr-defined]
        f"store: {{bucket: {BUCKET}, prefix: whole, endpoint: '{s3}', access_key: {{env: TEST_S3_KEY}}, "
        "secret_key: {env: TEST_S3_SECRET}}\n"
    )
    with Archive(folder) as archive:
        for path in (vial_images["good"][0], vial_images["crack"][0]):
            disposition = Station(recipe, detector, archive).inspect(read_frame(path))
            assert disposition.entry is not None
    found = verify_archive(folder)
    assert (found.problems, found.entries, found.files) == ([], 2, 4)
    assert not (folder / "images").exists()
    name = str(disposition.entry.frames[0].image)
    client(s3).put_object(Bucket=BUCKET, Key=f"whole/{name[:2]}/{name}", Body=b"another picture")
    assert any(name in problem and "was changed" in problem for problem in verify_archive(folder).problems)
