"""`auto`: which of the proved runtimes serves, by a short measurement on this machine at load."""

import time
from collections.abc import Callable, Sequence

from inspection.errors import InspectionError
from inspection.finding import GoldenMismatch, OutputReader
from inspection.frames import Pixels
from inspection.runtime import AUTO, Runtime, RuntimeFault, able, load_runtime

ROUNDS = 7
SECONDS = 1.0
GAIN = 0.9


def proved_runtime(model: bytes, readers: Sequence[OutputReader], runtime: str, threads: int, parallel: int) -> Runtime:
    """The runtime of this name, or for `auto` the fastest of those at the packages' precision, that loads the `model`
    and gives what every one of its `readers` knows of its golden frames. Where there is none, what kept the first from
    it is raised: GoldenMismatch, RuntimeFault or PrecisionUnsupported."""
    first = readers[0]
    proved: list[Runtime] = []
    refusals: list[InspectionError] = []
    for name in able(first.manifest.precision) if runtime == AUTO else [runtime]:
        try:
            loaded = load_runtime(name, model, threads, first.manifest.precision, parallel)
            for reader in readers:
                reader.prove(loaded)
        except (RuntimeFault, GoldenMismatch) as error:
            refusals.append(error)
        else:
            proved.append(loaded)
    if not proved:
        raise refusals[0]
    return fastest(proved, first.package.golden[first.manifest.golden[0].name])


def fastest(proved: Sequence[Runtime], frame: Pixels, clock: Callable[[], float] = time.perf_counter) -> Runtime:
    """The first of `proved`, unless another needs at most nine tenths of its time for `frame` `[H, W, 3]` uint8.

    By turns, up to `ROUNDS` runs each or about `SECONDS` in all; the shortest time of each counts, because whatever
    else the machine does only adds to it. A clear gain is asked for so that two equals do not change places from one
    start to the next. Each must have run before: a first run is slower.
    """
    if len(proved) == 1:
        return proved[0]
    best = [float("inf")] * len(proved)
    began = clock()
    for _ in range(ROUNDS):
        for index, runtime in enumerate(proved):
            start = clock()
            runtime.run(frame[None])
            best[index] = min(best[index], clock() - start)
        if clock() - began > SECONDS:
            break
    quickest = min(range(len(proved)), key=best.__getitem__)
    return proved[quickest] if best[quickest] <= GAIN * best[0] else proved[0]
