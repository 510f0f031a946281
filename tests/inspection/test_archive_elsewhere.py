"""A station whose archive lies in PostgreSQL and in an object store: the same records, the same proofs."""

import time
from pathlib import Path

import pytest

from inspection.archive import Archive
from inspection.backup import backup
from inspection.detector import Detector
from inspection.frames import read_frame
from inspection.image_store import ImagesUnreachable
from inspection.recipe import Recipe
from inspection.recovery import recover
from inspection.station import Station
from inspection.verdict import Outcome, Reason
from inspection.verify import verify_archive
from tests.databases import PostgreSql, archive_in
from tests.object_stores import ACCESS_KEY, SECRET_KEY, S3Server
from tests.serve.serving import running, write_recipe


@pytest.fixture
def folder(postgresql: PostgreSql, own_s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive's folder with an `archive.yaml` and nothing else; one half of the key is in the environment."""
    monkeypatch.setenv("S3_KEY_OF_TESTS", ACCESS_KEY)
    (tmp_path / "secret").write_text(f"{SECRET_KEY}\n")
    store = (
        f"{{bucket: {own_s3.bucket}, prefix: plant/line-1, endpoint: '{own_s3.endpoint}', timeout_s: 1, "
        f"access_key: {{env: S3_KEY_OF_TESTS}}, secret_key: {{file: '{tmp_path / 'secret'}'}}}}"
    )
    return archive_in(tmp_path / "archive", postgresql.new_database(), store=store)


def records(folder: Path, recipe: Recipe, detector: Detector, images: list[Path]) -> list[str]:
    """Inspect units; the names of their images."""
    with Archive(folder) as archive:
        station = Station(recipe, detector, archive)
        found = [station.inspect(read_frame(path), unit=path.name) for path in images]
        names = [str(one.entry.frames[0].image) for one in found if one.entry]
        assert [archive.images.get(name) for name in names] == [path.read_bytes() for path in images]
    return names


def test_a_unit_recorded_elsewhere_verifies_and_a_swapped_image_is_found(
    folder: Path, own_s3: S3Server, recipe: Recipe, detector: Detector, vial_images: dict[str, list[Path]]
) -> None:
    one, other = records(folder, recipe, detector, [vial_images["good"][0], vial_images["crack"][0]])
    assert not (folder / "archive.sqlite").exists()
    assert not (folder / "images").exists()
    found = verify_archive(folder)
    assert (found.problems, found.entries, found.files) == ([], 2, 4)

    client = own_s3.client()
    keys = {item["Key"] for item in client.list_objects_v2(Bucket=own_s3.bucket)["Contents"]}
    key, another = (f"plant/line-1/{name[:2]}/{name}" for name in (one, other))
    assert len(keys) == 4
    assert {key, another} < keys
    client.copy_object(Bucket=own_s3.bucket, Key=key, CopySource=f"{own_s3.bucket}/{another}")
    assert verify_archive(folder).problems == [
        f"record station-1/1: image {one} was changed: its content does not fit its name"
    ]
    client.delete_object(Bucket=own_s3.bucket, Key=key)
    [problem] = verify_archive(folder).problems
    assert problem.startswith(f"record station-1/1: image {one} is missing")


def test_where_the_store_is_gone_no_unit_passes_and_nothing_is_called_missing(
    folder: Path,
    own_s3: S3Server,
    recipe: Recipe,
    detector: Detector,
    vial_images: dict[str, list[Path]],
    tmp_path: Path,
) -> None:
    records(folder, recipe, detector, [vial_images["good"][0]])
    own_s3.stop()
    with Archive(folder) as archive:
        began = time.monotonic()
        disposition = Station(recipe, detector, archive).inspect(read_frame(vial_images["good"][1]), unit="lost")
        assert time.monotonic() - began < 5
        assert (disposition.outcome, disposition.reason) == (Outcome.REJECT, Reason.ARCHIVE_FAULT)
        assert archive.count_entries() == 1
    with pytest.raises(ImagesUnreachable, match="did not give image"):
        verify_archive(folder)
    with Archive(folder) as archive, pytest.raises(ImagesUnreachable):  # and not damage, which a restart refuses
        recover(archive, "station-1")
    with Archive(folder, read_only=True) as archive, pytest.raises(ImagesUnreachable):
        backup(archive, tmp_path / "copy")
    own_s3.start()
    assert verify_archive(folder).problems == []
    with Archive(folder) as archive:
        assert recover(archive, "station-1").damage == []
    with Archive(folder, read_only=True) as archive:
        assert backup(archive, tmp_path / "copy").files == 2


def test_the_service_shows_pictures_that_lie_elsewhere(
    folder: Path, own_s3: S3Server, vial_package: Path, vial_images: dict[str, list[Path]], tmp_path: Path
) -> None:
    data = vial_images["crack"][0].read_bytes()
    with running(write_recipe(tmp_path, vial_package), folder) as station:
        links = station.upload(data).json()["record"]["links"]
        assert station.client.get(links["image"]).content == data
        for address in (links["heatmap"], f"{links['image']}?width=64"):
            assert station.client.get(address).status_code == 200
        own_s3.stop()
        answer = station.client.get(links["image"])
        assert (answer.status_code, answer.json()["code"]) == (503, "images_unreachable")
        assert station.upload(data).status_code == 503
        own_s3.start()
        assert station.client.get(links["image"]).status_code == 200
