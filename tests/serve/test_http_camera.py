"""Frames that are pushed over HTTP: each is a unit's, or a rejected unit's; none is dropped without a word."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspection.frames import encode_png, read_frame
from inspection.records import Entry, from_row
from serve.cameras import Fault
from serve.cameras.http import CameraBusy, HttpCamera, HttpOptions
from tests.bad_images import BAD_IMAGES
from tests.serve.camera_sources import numbered
from tests.serve.serving import Running, running, wait_for, write_recipe

pytestmark = pytest.mark.timeout(90)
ADDRESS = "/api/cameras/side/frames"


@pytest.fixture
def line(tmp_path: Path, vial_package: Path) -> Iterator[Running]:
    recipe = write_recipe(tmp_path, vial_package, camera={"kind": "http", "name": "side", "silence_s": 1.0})
    with running(recipe, tmp_path / "archive") as station:
        yield station


@pytest.fixture
def images(vial_images: dict[str, list[Path]]) -> list[bytes]:
    """Files of good units."""
    return [path.read_bytes() for path in vial_images["good"]]


def push(station: Running, data: bytes, **form: int) -> int:
    """The status of the answer."""
    fields = {key: str(value) for key, value in form.items()}
    return station.client.post(ADDRESS, files={"image": ("image.png", data)}, data=fields).status_code


def units(station: Running, count: int) -> list[Entry]:
    """The first units on record, once there are that many."""
    wait_for(lambda: station.units() >= count)
    rows = station.service.archive.rows("station-1")
    return [from_row(row) for row in rows if row["kind"] == "unit"]


def test_each_frame_opens_a_unit_with_its_count_and_its_file(line: Running, images: list[bytes]) -> None:
    for number, data in enumerate(images[:3]):
        assert push(line, data, sequence=40 + number, hardware_time_ns=1000 + number) == 202
    found = units(line, 3)
    assert [unit.outcome for unit in found] == ["PASS"] * 3
    for number, unit in enumerate(found):
        [frame] = unit.frames
        assert (frame.camera, frame.sequence) == ("side", 40 + number)
        assert frame.image
        assert line.service.archive.images.get(frame.image) == images[number]


def test_a_gap_in_the_sender_s_count_is_a_rejected_unit(line: Running, images: list[bytes]) -> None:
    for number in (0, 1, 3):
        assert push(line, images[number], sequence=number) == 202
    assert [unit.reason for unit in units(line, 4)] == ["within_limits", "within_limits", "frame_lost", "within_limits"]


@pytest.mark.parametrize("what", ["cut-short png", "text", "grey", "zero bytes"])
def test_what_is_no_image_was_a_frame_all_the_same(line: Running, images: list[bytes], what: str) -> None:
    bad = BAD_IMAGES[what]
    assert [push(line, images[0]), push(line, bad[0]), push(line, images[1])] == [202, 422, 202]
    found = units(line, 3)
    assert [(unit.outcome, unit.reason) for unit in found[1:]] == [("REJECT", bad[2]), ("PASS", "within_limits")]


def test_silence_is_an_alarm_and_the_next_frame_ends_it(line: Running, images: list[bytes]) -> None:
    push(line, images[0])
    wait_for(lambda: "has given no frame for" in line.service.alarm)
    push(line, images[1])
    wait_for(lambda: not line.service.alarm)


def test_restarted_it_takes_frames_and_its_count_begins_anew(line: Running, images: list[bytes]) -> None:
    assert push(line, images[0], sequence=7) == 202
    units(line, 1)
    line.service.line.cameras["side"].restart("a test wants it")
    wait_for(lambda: line.service.line.cameras["side"].state.restarts == 1)
    wait_for(lambda: push(line, images[1], sequence=0) == 202)
    assert [unit.outcome for unit in units(line, 2)] == ["PASS", "PASS"]


def test_it_says_who_takes_no_frames(line: Running, images: list[bytes]) -> None:
    files = {"image": ("image.png", images[0])}
    unknown = line.client.post("/api/cameras/top/frames", files=files)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "camera_missing")
    crossing = line.client.post(ADDRESS, files=files, headers={"sec-fetch-site": "cross-site"})
    assert (crossing.status_code, crossing.json()["code"]) == (403, "cross_site")
    assert push(line, images[0], sequence=-1) == 422
    line.service.line.stop()
    assert push(line, images[0]) in (404, 409)
    assert line.units() == 0


def test_a_camera_that_has_a_driver_is_not_pushed_to(tmp_path: Path, vial_package: Path, images: list[bytes]) -> None:
    recipe = write_recipe(tmp_path, vial_package, camera={"kind": "simulator", "name": "side", "rate_hz": 1})
    with running(recipe, tmp_path / "archive") as station:
        assert push(station, images[0]) == 409


def test_frames_that_come_too_fast_are_refused_and_leave_a_gap() -> None:
    camera = HttpCamera("side", HttpOptions(), Path())
    taken = [camera.push(encode_png(numbered(number))) for number in range(16)]
    with pytest.raises(CameraBusy, match="lost frame 16"):
        camera.push(encode_png(numbered(16)))
    assert [shot.sequence for shot in taken] == list(range(16))
    stop_after = iter(camera.shots(threading.Event()))
    next(stop_after)
    assert camera.push(encode_png(numbered(17))).sequence == 17  # 16 is missing in the count, and so a unit is rejected


def test_a_mono_camera_takes_grey_images_only(vial_images: dict[str, list[Path]]) -> None:
    camera = HttpCamera("side", HttpOptions(colour="mono"), Path())
    grey = encode_png(read_frame(vial_images["good"][0]).pixels[:, :, 0].copy())
    assert not isinstance(camera.push(grey), Fault)
    refused = camera.push(vial_images["good"][0].read_bytes())
    assert isinstance(refused, Fault)
    assert refused.reason == "frame_wrong_format"
