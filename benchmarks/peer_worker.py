"""What a measured process does, on either side: take frames, say verdicts, and time itself when told to.

Runs under both interpreters, so it needs numpy alone. The parent writes one word a line to a worker's standard input
and reads one line of JSON for each: `verdicts` (of every frame, in order), `time N` (of N frames, from decoded frame
to verdict: milliseconds on the clock, and milliseconds of all its threads on a core, which other processes disturb
less), `memory` (most memory it ever held, in MB).
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
# From a decoded frame [H, W, 3] RGB to (stopped, score).
Inspect = Callable[[Frame], tuple[bool, float]]
TIMED_FRAMES = 32


def answer(value: Any) -> None:
    """One line of JSON to the parent, on the standard output that was kept for it (libraries print on the other)."""
    os.write(_to_parent(), (json.dumps(value) + "\n").encode())


def _to_parent() -> int:
    """The parent's end; from the first call on, what libraries print goes to standard error."""
    global _parent
    if _parent is None:
        sys.stdout.flush()
        _parent = os.dup(1)
        os.dup2(2, 1)
    return _parent


_parent: int | None = None


def keep_output_apart() -> None:
    """From here on, what libraries print goes to standard error; only `answer` reaches the parent."""
    _to_parent()


def peak_mb() -> float:
    """The most memory this process ever held. Not from getrusage, which a child inherits from its parent."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    msg = "this system does not say how much memory a process held"
    raise OSError(msg)


def serve(inspect: Inspect, files: list[str]) -> None:
    """Obey the parent until it closes the line. `files` are .npy frames."""
    chosen = np.linspace(0, len(files) - 1, min(TIMED_FRAMES, len(files))).astype(int)
    frames = [np.load(files[index]) for index in chosen]
    inspect(frames[0])
    turn = 0
    answer("ready")
    for line in sys.stdin:
        word, _, count = line.strip().partition(" ")
        if word == "verdicts":
            answer([inspect(np.load(file)) for file in files])
        elif word == "memory":
            answer(peak_mb())
        else:
            times = []
            for _ in range(int(count)):
                start, cpu = time.perf_counter(), time.process_time()
                inspect(frames[turn % len(frames)])
                wall, busy = time.perf_counter() - start, time.process_time() - cpu
                times.append([wall * 1000, busy * 1000])
                turn += 1
            answer(times)
