"""How long `send` takes until the receiver has acknowledged, each output with the receiver of its tests, on loopback.

python -m benchmarks.outputs
"""

import socket
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from serve.outputs import OUTPUTS, Output, open_output
from tests.serve.output_examples import LOST, PASSED, REVIEWED, STATE, config_of
from tests.serve.output_registry import receiver_of

_WARM = 20


@click.command()
@click.option("--signals", default=500, show_default=True, help="Signals of each kind.")
def outputs(signals: int) -> None:
    """Milliseconds from `send` to its return."""
    print("| kind | p50 ms | p99 ms | most ms |")
    print("|---|---|---|---|")
    for kind in OUTPUTS:
        taken = 1000 * np.array(measured(kind, signals))
        print(f"| {kind} | {np.median(taken):.2f} | {np.percentile(taken, 99):.2f} | {taken.max():.2f} |")


def measured(kind: str, signals: int) -> list[float]:
    """Seconds of each `send` to a receiver that is started for it; passes, reviews and rejects take turns."""
    with tempfile.TemporaryDirectory() as folder:
        receiver = receiver_of(kind, Path(folder), free_port())
        receiver.start()
        output = open_output(config_of(kind, **receiver.options), Path(folder) / "recipe.yaml", STATE)
        try:
            receiver.attach()
            return timed(output, signals)
        finally:
            output.close()
            receiver.end()


def timed(output: Output, signals: int) -> list[float]:
    """Seconds of each `send`; the first ones are not counted."""
    seconds = []
    for number in range(1, _WARM + signals + 1):
        signal = replace((PASSED, REVIEWED, LOST)[number % 3], number=number)
        start = time.perf_counter()
        output.send(signal)
        seconds.append(time.perf_counter() - start)
    return seconds[_WARM:]


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    outputs()
