"""`inspection serve` as a person runs it: it inspects, it stops when it is told to, and it says what is wrong."""

import json
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from inspection.archive import Archive
from inspection.cli import main
from inspection.verify import verify_archive
from tests.serve.serving import listening, serve_command, wait_for, write_recipe

pytestmark = pytest.mark.timeout(120)
CLI = Callable[..., CompletedProcess[str]]


@pytest.fixture
def images(tmp_path: Path, vial_images: dict[str, list[Path]]) -> Path:
    """A folder of four good and two defective images, and one that is no image."""
    folder = tmp_path / "images"
    folder.mkdir()
    for path in (*vial_images["good"][:4], *vial_images["crack"][:2]):
        shutil.copy(path, folder / f"{path.parent.name}-{path.name}")
    (folder / "note.png").write_text("no image")
    return folder


def test_camera_frames_become_records(tmp_path: Path, vial_package: Path, images: Path, inspection: CLI) -> None:
    camera = {"kind": "folder", "path": "images", "rate_hz": 5}
    recipe, archive = write_recipe(tmp_path, vial_package, camera=camera), tmp_path / "archive"
    with serve_command(recipe, archive) as command:
        client = command.client
        wait_for(lambda: client.get("/api/status").json()["line"] == "finished", 30)
        wait_for(lambda: client.get("/api/status").json()["tally"]["units"] == 7)
        code, out, err = command.end(signal.SIGTERM, within_s=15)
    assert (code, complaints(err)) == (0, [])
    with Archive(archive, read_only=True) as opened:
        records = [record for record in reversed(opened.latest(100)) if record.station == "station-1"]
        kept = {opened.images.get(record.frames[0].image or "") for record in records if record.frames}
    units = [record for record in records if record.kind == "unit"]
    assert [record.reason for record in units if record.outcome == "PASS"] == ["within_limits"] * 4
    assert [record.reason for record in units if not record.frames] == ["frame_unreadable"]
    assert [record.reason for record in records if record.kind == "event"] == [
        "line_started",
        "line_finished",
        "head_signed",
    ]
    assert kept == {path.read_bytes() for path in images.iterdir() if path.name != "note.png"}
    passed, review, rejected = (sum(unit.outcome == name for unit in units) for name in ("PASS", "REVIEW", "REJECT"))
    assert f"stopped: {passed} passed, {review} for review, {rejected} rejected" in out
    done = inspection("verify", "--archive", archive)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT], ids=lambda sign: sign.name)
def test_signal_ends_it_while_pages_listen(tmp_path: Path, vial_package: Path, sign: signal.Signals) -> None:
    camera = {"kind": "simulator", "rate_hz": 20}
    recipe, archive = write_recipe(tmp_path, vial_package, camera=camera), tmp_path / "archive"
    told = 0
    with (
        serve_command(recipe, archive) as command,
        listening(command.client) as events,
    ):
        while told < 3:
            told += next(events)[0] == "unit"
        code, out, err = command.end(sign, within_s=15)
        assert (code, complaints(err)) == (0, [])
        told += sum(name == "unit" for name, _ in events)
    found = verify_archive(archive)
    assert found.intact
    assert told <= found.entries - 2
    assert "stopped: " in out
    with Archive(archive, read_only=True) as opened:
        stopped, signed = (row["reason"] for row in list(opened.rows("station-1"))[-2:])
    assert (stopped, signed) == ("line_stopped", "head_signed")


def test_it_goes_on_in_the_same_chain(tmp_path: Path, vial_package: Path, vial_images: dict[str, list[Path]]) -> None:
    recipe, archive = write_recipe(tmp_path, vial_package), tmp_path / "archive"
    for sequence in (2, 6):  # after each start; before the second one there are a stop and a signed head as well
        with serve_command(recipe, archive) as command:
            files = {"image": vial_images["good"][0].read_bytes()}
            answer = command.client.post("/api/inspect", files=files).json()
            assert answer["record"]["sequence"] == sequence
            assert command.end(signal.SIGTERM, within_s=15)[0] == 0
    assert verify_archive(archive).intact


def complaints(log: str) -> list[dict[str, Any]]:
    """What a service logged as worse than information. Each line is a JSON object."""
    return [line for line in map(json.loads, log.splitlines()) if line["level"] != "info"]


def refused(*arguments: object, capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence that a command which cannot start says."""
    with pytest.raises(SystemExit) as raised:
        main(["serve", *map(str, arguments), "--port", "0"])
    out, err = capsys.readouterr()
    assert raised.value.code == 1
    assert out == ""
    assert err.startswith("inspection: ")
    assert err.count("\n") == 1
    return err


WRONG_KEYS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"deadline": 5}, "no key 'deadline'; did you mean 'deadline_ms'?"),
    "unknown key of the package": ({"package": {"path": "v.onnx", "sha": "0"}}, "no key 'package.sha'"),
    "unknown camera option": (
        {"camera": {"kind": "simulator", "rate": 5}}, "(simulator): there is no key 'rate'; did you mean 'rate_hz'?",
    ),
    "unknown camera": ({"camera": {"kind": "webcam"}}, "no kind 'webcam'"),
    "missing folder": ({"camera": {"kind": "folder", "path": "nowhere"}}, "nowhere is not a folder"),
    "senseless value": ({"queue": 0}, "queue: input should be greater than or equal to 1, got 0"),
    "missing package": ({"package": {"path": "nowhere.onnx"}}, "nowhere.onnx"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_KEYS)
def test_wrong_recipe_is_one_sentence_and_no_archive(
    tmp_path: Path, vial_package: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, sentence = WRONG_KEYS[what]
    recipe = write_recipe(tmp_path, vial_package, **keys)
    said = refused(recipe, "--archive", tmp_path / "archive", capsys=capsys)
    assert sentence in said
    assert str(tmp_path) in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml"]


@pytest.mark.parametrize(("content", "sentence"), [
    ("name: [vials\n", "is not valid YAML"),
    ("name: vials\nname: tablets\n", "the key 'name' stands twice"),
    ("- vials\n", "holds no keys"),
    ("", "holds no keys"),
    (b"\xff\xfe\x00name", "is not valid YAML"),
    (b"\x89PNG\r\n\x1a\n\0\0", "is not valid YAML"),
])  # fmt: skip
def test_unreadable_recipe_is_one_sentence_and_no_archive(
    tmp_path: Path, content: str | bytes, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_bytes(content.encode() if isinstance(content, str) else content)
    said = refused(recipe, "--archive", tmp_path / "archive", capsys=capsys)
    assert str(recipe) in said
    assert sentence in said
    assert not (tmp_path / "archive").exists()


def test_missing_recipe_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        assert str(path) in refused(path, "--archive", tmp_path / "archive", capsys=capsys)
    assert not (tmp_path / "archive").exists()


def test_package_that_is_not_the_recipes_is_refused(tmp_path: Path, vial_package: Path, inspection: CLI) -> None:
    recipe = write_recipe(tmp_path, vial_package, package={"path": str(vial_package), "sha256": "0" * 64})
    done = inspection("serve", recipe, "--archive", tmp_path / "archive", "--port", 0)
    assert (done.returncode, done.stdout) == (1, "")
    assert str(vial_package) in done.stderr
    assert "asks for 000000000000" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "archive").exists()


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody may write to."""
    folder = tmp_path / "archive"
    folder.mkdir()
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


def test_read_only_archive_is_refused(
    tmp_path: Path, vial_package: Path, read_only: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(write_recipe(tmp_path, vial_package), "--archive", read_only, capsys=capsys)
    assert f"{read_only}" in said
    assert "read-only" in said
    assert list(read_only.iterdir()) == []


def test_archive_that_is_a_file_is_refused(
    tmp_path: Path, vial_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "archive"
    file.write_text("mine")
    assert str(file) in refused(write_recipe(tmp_path, vial_package), "--archive", file, capsys=capsys)
    assert file.read_text() == "mine"


def test_port_in_use_is_refused(tmp_path: Path, vial_package: Path, inspection: CLI) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        recipe = write_recipe(tmp_path, vial_package)
        done = inspection("serve", recipe, "--archive", tmp_path / "archive", "--port", port)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"127.0.0.1:{port} cannot be listened on (Address already in use); choose another --port" in done.stderr
    assert not (tmp_path / "archive").exists()


def test_a_signal_before_the_server_answers_is_an_end_on_record(tmp_path: Path, vial_package: Path) -> None:
    camera = {"kind": "simulator", "rate_hz": 20, "defect_rate": 0}
    with serve_command(write_recipe(tmp_path, vial_package, camera=camera), tmp_path / "archive") as command:
        code, _, _ = command.end(signal.SIGTERM, within_s=30)
    assert code == 0
    with Archive(tmp_path / "archive", read_only=True) as archive:
        assert [row["reason"] for row in archive.rows("station-1")][-2:] == ["line_stopped", "head_signed"]
