"""The whole chain under load: triggers at a rate, several frames each, from the trigger to the gate's acknowledgement.

inspection demo --once && python -m benchmarks.line_soak demo/vial.onnx --seconds 600

Four phases in one run: the bare detector, the rate for so long, three times what the chain can sustain for ten seconds,
and the rate again. Frames are simulated good units, taken to have come 1 ms after their trigger; the gate is a PLC's
stand-in on loopback, which echoes each unit's number over Modbus TCP. Every unit must have one disposition and one
record, and the archive must verify; otherwise the command fails.
"""

import itertools
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import click
import numpy as np

from benchmarks.outputs import free_port
from data.simulator import line as simulated
from inspection.archive import Archive
from inspection.combined import load_detector
from inspection.errors import InspectionError
from inspection.frames import Frame, Pixels
from inspection.package import read_package
from inspection.recipe import PackageRef, Recipe, TriggerConfig
from inspection.station import Disposition, Station
from inspection.verify import verify_archive
from serve.cameras import CameraOptions
from serve.line import unit_timing
from serve.outputs.delivery import Deliveries
from serve.pipeline.conveyor import CameraTiming, Conveyor
from serve.pipeline.inspector import Inspector, ProcessDetector
from tests.serve.output_controllers import Plc
from tests.serve.output_examples import STATE, config_of

CAMERA = "camera-1"
WARM_UP_S = 5.0
OVERLOAD_S = 10.0
AGAIN_S = 15.0
_POOL = 32
_MEMORY_LOOKS = 10


@dataclass(frozen=True)
class Told:
    """What became of a unit, and when it was triggered and told, on the monotonic clock. The disposition itself is not
    kept: its record would be taken for memory that the chain loses."""

    unit: str
    reason: str
    opened: float
    told: float


class Chain:
    """The chain with a source of frames and a gate."""

    def __init__(self, package: Path, folder: Path, frames: int, deadline_ms: int, lanes: int, threads: int) -> None:
        self.plc = Plc(free_port())
        self.plc.start()
        gate = config_of("modbus", **self.plc.options)
        product = read_package(package).manifest.product
        recipe = Recipe(
            name="soak", version="1.0.0", product=product, package=PackageRef(path=package.resolve()),
            deadline_ms=deadline_ms, lanes=lanes, threads=threads, outputs=(gate,),
            trigger=TriggerConfig(kind="software"),
        )  # fmt: skip
        self.frames, self._deadline_s = frames, deadline_ms / 1000
        self.detector = load_detector(package, None, "auto", threads, lanes)
        self.stages: dict[str, list[float]] = {}
        self.inspector = Inspector(recipe, folder, self.detector.runtime, threads, lanes, timed=self._timed)
        self.archive = Archive(folder / "archive")
        detector = ProcessDetector(self.detector.package, None, self.inspector, self.inspector.start())
        self.told: list[Told] = []
        self.memory: list[float] = []
        self.stolen = 0.0
        self._opened: dict[str, float] = {}
        self.deliveries = Deliveries(
            recipe.outputs, folder / "recipe.yaml", lambda: STATE, self._tell,
            timed=lambda _, seconds: self._timed("signal", seconds),
        )  # fmt: skip
        camera = CameraOptions(frames=frames, within_ms=20.0)
        self.conveyor = Conveyor(
            Station(recipe, detector, self.archive, time.monotonic), self.inspector,
            {CAMERA: CameraTiming(frames, 0.0, 0.005)}, unit_timing(recipe, {CAMERA: camera}, "soak"),
            lambda told: self.deliveries.send(told, told.opened + self._deadline_s), triggered=True,
            doubt=lambda camera, _: self.conveyor.restarted(camera), timed=self._timed,
        )  # fmt: skip
        self.pool: list[Pixels] = [unit.frame for unit in islice(simulated(product, 0, 0.0, _POOL), _POOL)]
        self._sequence = itertools.count()
        self._number = itertools.count()
        self.conveyor.start()
        self.deliveries.start()

    def run(self, rate_hz: float, seconds: float) -> list[Told]:
        """Trigger at a rate for so long, and wait until every unit was told."""
        first, due = len(self._opened), time.monotonic()
        wanted = max(1, round(rate_hz * seconds))
        self.memory, before = [memory_mb(self.inspector.pid)], processor_s()
        for number in range(1, wanted + 1):
            time.sleep(max(0.0, due - time.monotonic()))
            self._unit()
            if number % max(1, wanted // _MEMORY_LOOKS) == 0:
                self.memory.append(memory_mb(self.inspector.pid))
            due = max(due + 1 / rate_hz, time.monotonic())  # late is not made up for: units do not overtake each other
        while len(self.told) < first + wanted:
            time.sleep(0.01)
        self.stolen = (processor_s()[0] - before[0]) / (processor_s()[1] - before[1])
        return self.told[first:]

    def _unit(self) -> None:
        name, at = f"unit-{next(self._number)}", time.monotonic()
        self._opened[name] = at
        self.conveyor.trigger(name, at)
        for _ in range(self.frames):
            sequence = next(self._sequence)
            pixels = self.pool[sequence % _POOL].copy()
            pixels[0, 0] = sequence % 256, sequence // 256 % 256, sequence // 65536 % 256  # each its own file
            self.conveyor.shot(CAMERA, Frame(pixels, f"frame {sequence}", CAMERA, sequence), at + 0.001)

    def _timed(self, stage: str, seconds: float) -> None:
        self.stages.setdefault(stage, []).append(seconds)

    def _tell(self, disposition: Disposition) -> None:
        unit = disposition.unit
        self.told.append(Told(unit, str(disposition.reason), self._opened[unit], time.monotonic()))

    def stop(self) -> None:
        """Drain and close."""
        self.conveyor.drain()
        self.deliveries.stop()
        self.conveyor.close("line_stopped")
        self.inspector.stop()
        self.plc.end()
        self.archive.close()


@click.command()
@click.argument("package", type=click.Path(path_type=Path))
@click.option("--rate", default=10.0, show_default=True, help="Units per second.")
@click.option("--frames", default=4, show_default=True, help="Frames of each unit.")
@click.option("--seconds", default=60.0, show_default=True, help="How long the rate is held.")
@click.option("--deadline-ms", default=100.0, show_default=True, help="From the trigger to the told disposition.")
@click.option("--lanes", default=2, show_default=True, help="Frames looked at side by side.")
@click.option("--threads", default=1, show_default=True, help="Cores for each frame.")
def soak(package: Path, rate: float, frames: int, seconds: float, deadline_ms: float, lanes: int, threads: int) -> None:
    """Time PACKAGE from trigger to disposition."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            measure(package, Path(folder), rate, frames, seconds, round(deadline_ms), lanes, threads)
    except InspectionError as error:
        raise click.ClickException(f"{error} [{error.code}]") from error


def measure(
    package: Path, folder: Path, rate: float, frames: int, seconds: float, deadline_ms: int, lanes: int, threads: int
) -> None:
    """Run the phases and print what they measured. Raises ClickException where a unit is not accounted for."""
    chain = Chain(package, folder, frames, deadline_ms, lanes, threads)
    bare_s = bare(chain, lanes)
    sustained = 1 / (bare_s * frames)
    print(f"{package.name} in {chain.detector.runtime}: {lanes} lanes of {threads} threads, {frames} frames a unit")
    print(f"bare detector: {bare_s * 1000:.1f} ms a frame, {sustained:.1f} units/s\n")
    print("| phase | units | told p50 ms | p99 | p99.9 | max | late or lost % | memory MB |")
    print("|---|---|---|---|---|---|---|---|")
    chain.run(rate, WARM_UP_S)
    chain.stages.clear()
    phases = [("rate", rate, seconds), ("3 x overload", 3 * sustained, OVERLOAD_S), ("rate again", rate, AGAIN_S)]
    for name, hz, lasts in phases:
        told = chain.run(hz, lasts)
        print(row(name, told, chain.memory[-1]), flush=True)
        if name == "rate":
            stages, whole, memory, stolen = dict(chain.stages), told, chain.memory, chain.stolen
            chain.stages.clear()
    print("\n| stage at the rate | p50 ms | p99 | p99.9 | max |")
    print("|---|---|---|---|---|")
    for stage, seconds_of in (*stages.items(), ("trigger to acknowledged", [one.told - one.opened for one in whole])):
        print(f"| {stage} | {' | '.join(spread(seconds_of))} |")
    ratio = float(np.median([one.told - one.opened for one in whole])) / (bare_s * frames)
    print(f"\nthe chain takes {ratio:.2f} times the bare detector's time for a unit's frames, at the median")
    print(f"the host gave {100 * stolen:.1f} % of the processors' time to other machines meanwhile")
    print("memory at each tenth of the rate, MB:", " ".join(f"{value:.0f}" for value in memory))
    print(f"memory grew by {100 * (memory[-1] / memory[0] - 1):.1f} % from the end of the warm-up")
    print(f"recovered {recovery_s(told, rate):.1f} s after the overload: no unit late from there for a second")
    chain.stop()
    check(chain, folder / "archive")


def bare(chain: Chain, lanes: int) -> float:
    """Seconds a frame of the detector alone, with as many frames side by side: the median of ten rounds."""
    rounds = [_round(chain, lanes) for _ in range(11)]
    return float(np.median(rounds[1:]))


def _round(chain: Chain, lanes: int) -> float:
    each = 8

    def work() -> None:
        for pixels in chain.pool[:each]:
            chain.detector.find(pixels)

    threads = [threading.Thread(target=work) for _ in range(lanes)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.monotonic() - began) / (each * lanes)


def row(name: str, told: Sequence[Told], memory: float) -> str:
    """A line of the table, with the reasons of what did not pass below it."""
    at = spread([one.told - one.opened for one in told])
    reasons = Counter(one.reason for one in told)
    missed = sum(reasons[reason] for reason in ("late", "frame_lost", "frame_doubtful", "model_fault", "not_delivered"))
    cells = [name, str(len(told)), *at, f"{100 * missed / len(told):.2f}", f"{memory:.0f}"]
    return f"| {' | '.join(cells)} | {dict(reasons.most_common())}"


def spread(seconds: Sequence[float]) -> list[str]:
    """Milliseconds: the median, p99, p99.9 and the most."""
    times = 1000 * np.array(seconds)
    return [f"{value:.1f}" for value in (*np.percentile(times, [50, 99, 99.9]), times.max())]


def recovery_s(told: Sequence[Told], rate_hz: float) -> float:
    """Seconds from the first of these units to the first that begins a second without a late one. A line that loses
    some units in a hundred at its rate anyway is not called overloaded for those."""
    late = [one.reason == "late" for one in told]
    second = max(1, round(rate_hz))
    for at in range(len(told) - second + 1):
        if not any(late[at : at + second]):
            return told[at].opened - told[0].opened
    return float("inf")


def memory_mb(*pids: int | None) -> float:
    """Resident megabytes of this process and these."""
    total = 0.0
    for pid in ("self", *pids):
        status = Path(f"/proc/{pid}/status")
        lines = status.read_text().splitlines() if pid and status.exists() else []
        total += sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
    return total


def processor_s() -> tuple[float, float]:
    """Ticks since the start that the host took from this machine's processors, and all ticks."""
    ticks = [float(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[7], sum(ticks)


def check(chain: Chain, archive: Path) -> None:
    """Raise where triggered units, dispositions and records are not one to one."""
    found = verify_archive(archive)
    with Archive(archive, read_only=True) as opened:
        recorded = [row["unit"] for row in opened.rows("station-1") if row["kind"] == "unit"]
    told = [one.unit for one in chain.told]
    if not found.intact or told != recorded or len(set(told)) != len(told):
        raise click.ClickException(
            f"{len(told)} units told, {len(recorded)} on record, in this order: {told == recorded}; {found.problems}"
        )
    print(f"{len(told)} units triggered, told and on record; archive intact")


if __name__ == "__main__":
    soak()
