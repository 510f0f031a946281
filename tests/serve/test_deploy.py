"""What starts a station at boot: it names files and options that there are; and `doctor` says what does not work."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from configparser import RawConfigParser
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from serve.commands.serve import serve
from tests.conftest import ROOT
from tests.serve.serving import write_recipe

pytestmark = pytest.mark.timeout(90)
DEPLOY = ROOT / "serve" / "deploy"
CLI = Callable[..., CompletedProcess[str]]


def assert_options_exist(words: list[str]) -> None:
    """Every option is one of `inspection serve`."""
    known = {name for parameter in serve.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_systemd_unit_starts_what_there_is() -> None:
    unit = RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "inspection.service")
    words = shlex.split(unit["Service"]["ExecStart"])
    assert words[1] == "serve"
    assert_options_exist(words)
    assert (unit["Service"]["KillSignal"], unit["Service"]["Restart"]) == ("SIGTERM", "always")
    if shutil.which("systemd-analyze"):  # which looks at the program as well, and that is not installed here
        words = ["systemd-analyze", "verify", str(DEPLOY / "inspection.service")]
        said = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30).stderr
        assert "Unknown" not in said


def test_the_container_file_copies_and_starts_what_there_is() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists()
    assert json.loads(re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[0]) == ["inspection", "serve"]
    assert_options_exist(json.loads(re.findall(r"^CMD (.*)$", text, re.MULTILINE)[0]))
    assert "USER inspection" in text


def test_doctor_finds_a_station_well_and_leaves_nothing(tmp_path: Path, vial_package: Path, inspection: CLI) -> None:
    (tmp_path / "gate").mkdir()
    recipe = write_recipe(
        tmp_path, vial_package, camera={"kind": "simulator"}, outputs=[{"kind": "gpio", "name": "gate", "path": "gate"}]
    )
    done = inspection("doctor", recipe, "--archive", tmp_path / "archive", "--json")
    found = {one["part"]: one["status"] for one in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = ("recipe", "package", "time", "camera camera-1", "output gate", "disk")
    assert [found[part] for part in wanted] == ["OK"] * len(wanted)
    assert {"space", "clock", "machine"} <= found.keys()
    assert not (tmp_path / "archive").exists()


def test_doctor_names_each_thing_that_does_not_work(tmp_path: Path, vial_package: Path, inspection: CLI) -> None:
    recipe = write_recipe(
        tmp_path, vial_package, cameras=[{"kind": "folder", "path": "nowhere"}], deadline_ms=2,
        outputs=[{"kind": "modbus", "name": "plc", "host": "127.0.0.1", "port": 9, "coils": 0, "registers": 0}],
    )  # fmt: skip
    done = inspection("doctor", recipe, "--archive", tmp_path / "archive")
    assert done.returncode == 1
    failed = [line[5:].split("  ")[0] for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert failed == ["time", "camera camera-1", "output plc"]
    assert "-> " in done.stdout
    assert "3 of the parts" in done.stderr


def test_doctor_stops_at_a_recipe_that_cannot_be_read(tmp_path: Path, vial_package: Path, inspection: CLI) -> None:
    recipe = write_recipe(tmp_path, vial_package, quue=3)
    done = inspection("doctor", recipe, "--archive", tmp_path / "archive")
    assert done.returncode == 1
    assert "did you mean 'queue'?" in done.stdout
    assert len(done.stdout.splitlines()) == 2
