"""`inspection demo`: the main job from rendering to a verified archive, and again on what is there. Nothing of it
reaches out."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from inspection.archive import Archive
from inspection.records import Entry
from inspection.verify import verify_archive
from serve.demo import summary
from tests.faults.preloaded import compiled

CLI = Callable[..., CompletedProcess[str]]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder with a short name: the sockets in it have 107 bytes for theirs."""
    with tempfile.TemporaryDirectory(prefix="demo-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def network(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in which programs that are run leave whom they want to reach outside of this machine."""
    library, log = compiled("reaches_out", tmp_path), tmp_path / "network.log"
    for name, value in (("LD_PRELOAD", library), ("REACHES_OUT_LOG", log), ("TMPDIR", temporary)):
        monkeypatch.setenv(name, str(value))
    asks = "import urllib.request; urllib.request.urlopen('http://maker.invalid')"
    assert subprocess.run([sys.executable, "-c", asks], capture_output=True, check=False).returncode
    assert log.read_text() == "look up maker.invalid\n", "it sees who is asked for"
    log.unlink()
    return log


@pytest.mark.timeout(240)
def test_demo_does_the_main_job_twice_in_one_chain(
    tmp_path: Path, inspection: CLI, network: Path, temporary: Path
) -> None:
    folder = tmp_path / "demo"
    words = ("demo", "--once", "--archive", folder, "--units", 6, "--rate", 20, "--port", 0)
    done = inspection(*words)
    assert done.returncode == 0, done.stderr
    assert re.search(r"truth +PASS +REJECT +REVIEW\n", done.stdout)
    assert re.search(r"\n6 units: \d of \d defective ones stopped, \d of \d good ones passed; latency p50", done.stdout)
    assert re.search(rf"archive {folder}: \d+ records.*, intact\n", done.stdout)
    assert "Ctrl-C" not in done.stdout
    assert {"archive.sqlite", "images", "vial.onnx", "recipe.yaml"} <= {path.name for path in folder.iterdir()}

    package = (folder / "vial.onnx").read_bytes()
    verified = inspection("verify", "--archive", folder)
    assert verified.returncode == 0, verified.stderr
    first = entries(folder)

    done = inspection(*words)
    assert done.returncode == 0, done.stderr
    assert "train" not in done.stdout
    assert "\n6 units: " in done.stdout
    assert (folder / "vial.onnx").read_bytes() == package
    assert verify_archive(folder).intact
    both = entries(folder)
    assert both[: len(first)] == first
    assert [entry.sequence for entry in both] == list(range(1, len(both) + 1))
    line_events = [entry.reason for entry in both if str(entry.reason).startswith("line_")]
    assert line_events == ["line_started", "line_stopped"] * 2
    assert not network.exists(), network.read_text()
    assert list(temporary.rglob("*.ses")) == [], "ONNX Runtime opened a session to report"


def entries(folder: Path) -> list[Entry]:
    """All of them, oldest first."""
    with Archive(folder, read_only=True) as archive:
        return [one for one in reversed(archive.latest(1000)) if one.station != "audit"]


def test_summary_counts_against_the_truth() -> None:
    def unit(truth: str, outcome: str, latency: float) -> Entry:
        return Entry("unit", outcome=outcome, latency_ms=latency, score=1.0, details={"truth": truth})

    units = [unit("good", "PASS", 10), unit("good", "PASS", 20), unit("good", "REJECT", 30), unit("crack", "PASS", 40)]
    said = summary([*units, unit("crack", "REVIEW", 50)]).splitlines()
    assert [line.split() for line in said[1:4]] == [
        ["truth", "PASS", "REJECT", "REVIEW"], ["good", "2", "1", "-"], ["crack", "1", "-", "1"],
    ]  # fmt: skip
    assert said[4].startswith("5 units: 1 of 2 defective ones stopped, 2 of 3 good ones passed; latency p50 30 ms")
