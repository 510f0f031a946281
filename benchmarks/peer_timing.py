"""The runtimes of both sides, each in a process of its own, taking turns."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peer_process import ROOT, note, say
from benchmarks.peer_table import summary

SLOW_MS = 250.0  # a worker slower than this is timed on one frame a turn
PAUSE_S = 0.02  # between turns: a runtime's threads may spin for a while after their last frame


class Worker:
    """A process that serves one runtime of one system."""

    def __init__(self, words: list[str], log_file: Path) -> None:
        self.times: list[float] = []
        self.busy: list[float] = []
        with log_file.open("w") as log:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT
            )
        self._read()

    def ask(self, word: str) -> Any:
        """Send one line, read one line of JSON."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        return self._read()

    def turn(self, frames: int) -> None:
        """Time some frames, after one that warms the caches the others have used meanwhile."""
        slow = bool(self.times) and float(np.median(self.times)) > SLOW_MS
        found = self.ask(f"time {1 if slow else frames + 1}")
        for wall, busy in found if slow else found[1:]:
            self.times.append(wall)
            self.busy.append(busy)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise OSError(f"it ended with exit code {self._process.wait()}")
        return json.loads(line)


def time_all(
    systems: list[dict[str, Any]], python: Path, frames: list[str], threads: int, rounds: int, out: Path
) -> None:
    """Fill each system's `runtimes`: all are loaded, and take turns, so that the machine's noise hits all of them."""
    with running(systems, python, frames, threads, out) as workers:
        for system, export, worker in workers:
            if system.get("note"):
                continue  # random weights: its verdicts mean nothing
            verdicts = worker.ask("verdicts")
            stopped = [bool(verdict[0]) for verdict in verdicts]
            parent = next((other for other in systems if other["name"] == system.get("parent")), system)
            reference = parent.setdefault("reference", stopped)
            export |= {"flips": sum(a != b for a, b in zip(stopped, reference, strict=True)), "images": len(stopped)}
            scores = np.array([verdict[1] for verdict in verdicts])
            first = parent.setdefault("reference_scores", scores.tolist())
            export["largest_score_difference"] = float(np.abs(scores - np.array(first)).max())
        say(f"{len(workers)} runtimes take {rounds} turns each")
        for _ in range(rounds):
            for _, _, worker in workers:
                time.sleep(PAUSE_S)
                worker.turn(5)
        for _, export, worker in workers:
            export |= summary(worker.times, worker.busy) | {"serving_mb": worker.ask("memory")}
    for system in systems:
        system["runtimes"] = system.pop("exports")
        for runtime in system["runtimes"]:
            runtime.pop("model", None)


@contextmanager
def running(
    systems: list[dict[str, Any]], python: Path, frames: list[str], threads: int, out: Path
) -> Iterator[list[tuple[dict[str, Any], dict[str, Any], Worker]]]:
    """A worker for each export of each system; one that does not start is noted in its export."""
    workers = []
    try:
        for number, system in enumerate(systems):
            for export in system["exports"]:
                if "failed" in export:
                    continue
                mine = system["name"].startswith("ours")
                own = export | {"files": frames, "threads": threads}
                file = note(out, f"serve-{number}-{export['name']}", own)
                program = [sys.executable, "-m", "benchmarks.peer_ours"]
                if not mine:
                    program = [str(python), "-m", "benchmarks.peer_anomalib"]
                try:
                    workers.append((system, export, Worker([*program, "serve", file], Path(file).with_suffix(".log"))))
                except OSError as error:
                    export["failed"] = str(error)
        yield workers
    finally:
        for _, _, worker in workers:
            worker.close()
