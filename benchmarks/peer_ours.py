"""Our side of the comparison, in processes of their own: `fit` is `inspection train`, timed; `serve` is a Detector.

Only the command line and `inspection.detector.Detector` are used.
"""

import json
import sys
import time
from pathlib import Path

from benchmarks.peer_worker import Frame, answer, keep_output_apart, peak_mb, serve


def fit(words: list[str]) -> None:
    """`inspection` with these words, in this process. Its time includes its imports, for there is no earlier point."""
    from inspection.cli import main

    start = time.perf_counter()
    main(words)
    answer({"fit_s": time.perf_counter() - start, "fit_cpu_s": time.process_time(), "peak_mb": peak_mb()})


def serve_detector(specification: dict[str, object]) -> None:
    """A package in one of our runtimes."""
    from inspection.detector import Detector
    from inspection.package import read_package
    from inspection.verdict import Outcome, decide

    package = read_package(Path(str(specification["model"])))
    detector = Detector(package, runtime=str(specification["runtime"]), threads=int(str(specification["threads"])))

    def inspect(frame: Frame) -> tuple[bool, float]:
        score = detector.find(frame).score
        return decide(score, detector.manifest.limits).outcome is not Outcome.PASS, score

    serve(inspect, [str(file) for file in specification["files"]])  # type: ignore[attr-defined]


if __name__ == "__main__":
    keep_output_apart()
    if sys.argv[1] == "fit":
        fit(sys.argv[2:])
    else:
        serve_detector(json.loads(Path(sys.argv[2]).read_text()))
