"""`auto`: which of the proved runtimes serves, by a short measurement on this machine at load."""

import time
from collections.abc import Callable, Sequence

from inspection.frames import Pixels
from inspection.runtime import Runtime

ROUNDS = 7
SECONDS = 1.0
GAIN = 0.9


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
