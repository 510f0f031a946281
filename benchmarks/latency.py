"""What the detector adds to its bare backbone, on the same runtime, precision and frame, by turns.

python -m benchmarks.latency capsule.onnx capsule/test/good/000.png
"""

import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import onnx

from inspection.detector import Detector, available_cores
from inspection.errors import InspectionError
from inspection.frames import read_frame
from inspection.package import Package, read_package
from inspection.preprocess import Geometry, prepare
from inspection.runtime import able, load_runtime
from models.backbones import load_backbone
from models.graph import BACKBONE_OUTPUTS, features_graph

_BURST = 5  # runs at a time: what another left in the caches is gone after the first, which is not counted


@click.command()
@click.argument("package", type=click.Path(path_type=Path))
@click.argument("frame", type=click.Path(path_type=Path))
@click.option("--rounds", default=40, show_default=True, help="Bursts of four runs of each.")
@click.option("--threads", type=click.IntRange(1), help="Cores to use [default: all].")
def latency(package: Path, frame: Path, rounds: int, threads: int | None) -> None:
    """Median milliseconds of the backbone, of the package's graph, and of the detector from a decoded frame on.

    The yardstick, EfficientNet-Lite0 at 224 px on one core, says how fast this machine is just now.
    """
    cores = threads or available_cores()
    try:
        found = measured(read_package(package), frame, rounds, cores)
    except InspectionError as error:
        raise click.ClickException(f"{error} [{error.code}]") from error
    print(f"{frame.name}, {cores} threads; yardstick on one: {found.pop('yardstick'):.1f} ms\n")
    print("| runtime | backbone ms | graph ms | detector ms | graph / backbone | detector / backbone |")
    print("|---|---|---|---|---|---|")
    for runtime in dict.fromkeys(name.split()[0] for name in found):
        backbone, graph, detector = (found[f"{runtime} {part}"] for part in ("backbone", "graph", "detector"))
        cells = [f"{value:.1f}" for value in (backbone, graph, detector)]
        print(f"| {runtime} | {' | '.join(cells)} | {graph / backbone:.2f} | {detector / backbone:.2f} |")


def measured(package: Package, frame: Path, rounds: int, threads: int) -> dict[str, float]:
    """Median milliseconds of `RUNTIME backbone`, `RUNTIME graph` and `RUNTIME detector` for each runtime that computes
    the package's precision, and of `yardstick`; all take turns."""
    manifest = package.manifest
    pixels = read_frame(frame, manifest.input.colour).pixels
    prepared = prepare(pixels, manifest.input)[None]
    small = np.zeros((1, 224, 224, 3), np.uint8)
    stick = load_runtime(able("fp32")[-1], backbone_of(yardstick()), 1)
    bare = backbone_of(onnx.load_model_from_string(package.model))
    work: dict[str, Callable[[], object]] = {"yardstick": lambda: stick.run(small)}
    for name in able(manifest.precision):
        backbone = load_runtime(name, bare, threads, manifest.precision)
        graph = load_runtime(name, package.model, threads, manifest.precision)
        detector = Detector(package, runtime=name, threads=threads)
        work[f"{name} backbone"] = lambda runtime=backbone: runtime.run(prepared)  # type: ignore[misc]
        work[f"{name} graph"] = lambda runtime=graph: runtime.run(prepared)  # type: ignore[misc]
        work[f"{name} detector"] = lambda detector=detector: detector.find(pixels)  # type: ignore[misc]
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, run in work.items():
            times[name] += burst(run)[1:]
    return {name: 1000 * float(np.median(values)) for name, values in times.items()}


def burst(run: Callable[[], object]) -> list[float]:
    """Seconds of a few runs, one after the other."""
    seconds = []
    for _ in range(_BURST):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


def backbone_of(graph: onnx.ModelProto) -> bytes:
    """The part of a graph up to the backbone's maps."""
    part = onnx.utils.Extractor(graph).extract_model(["frames"], list(BACKBONE_OUTPUTS))
    return bytes(part.SerializeToString())


def yardstick() -> onnx.ModelProto:
    """A graph that is always the same."""
    backbone = load_backbone("efficientnet_lite0")
    return features_graph(backbone.model, backbone.channels, Geometry(height=224, width=224, aspect=1.0), 16)


if __name__ == "__main__":
    latency()
