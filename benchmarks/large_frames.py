"""Peak memory and time of one frame with and without tiles, each in a process of its own; print a table in Markdown.

python benchmarks/large_frames.py
"""

import re
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np

from inspection.detector import available_cores
from inspection.preprocess import Geometry
from inspection.runtime import RUNTIMES, load_runtime
from models import graph
from models.backbones import load_backbone

SIZES = ("1024x1024", "1536x1536", "2048x2048", "2448x2048")


@click.group(invoke_without_command=True)
@click.pass_context
@click.option("--runs", default=5, help="Frames of which the quickest counts.")
def large_frames(context: click.Context, runs: int) -> None:
    """One row per size and engine: peak of the process (VmHWM), what of it is loading and running the graph, wall and
    processor time of a frame of noise against 2,000 rows at stride 16."""
    if context.invoked_subcommand:
        return
    print("| input | engine | graph | peak MB | of it the graph's | ms | processor ms |")
    print("|---|---|---|---|---|---|---|")
    for size in SIZES:
        for engine in RUNTIMES:
            for kind in ("whole", "tiled"):
                words = [sys.executable, __file__, "one", size, engine, kind, str(runs)]
                figures = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
                print(f"| {size} | {engine} | {kind} | {figures.strip()} |", flush=True)


@large_frames.command(hidden=True)
@click.argument("size")
@click.argument("engine")
@click.argument("kind")
@click.argument("runs", type=int)
def one(size: str, engine: str, kind: str, runs: int) -> None:
    """The figures of one row."""
    width, height = map(int, size.split("x"))
    vars(graph)["UNTILED_PIXELS"] = 0 if kind == "tiled" else sys.maxsize
    geometry = Geometry(height=height, width=width, aspect=width / height)
    backbone = load_backbone("efficientnet_lite0")
    features = graph.features_graph(backbone.model, backbone.channels, geometry, 16)
    random = np.random.default_rng(0)
    bank = random.normal(size=(2000, sum(backbone.channels))).astype(np.float32)
    model = graph.memory_graph(features, geometry, bank, stride=16).SerializeToString()
    frame = random.integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    before = peak_mb()
    runtime = load_runtime(engine, model, available_cores())
    walls, cores = [], []
    for _ in range(runs):
        wall, core = time.perf_counter(), time.process_time()
        runtime.run(frame)
        walls.append(time.perf_counter() - wall)
        cores.append(time.process_time() - core)
    print(f"{peak_mb():.0f} | {peak_mb() - before:.0f} | {1000 * min(walls):.0f} | {1000 * min(cores):.0f}")


def peak_mb() -> float:
    """The most memory that this process has held so far, in MiB (Linux)."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


if __name__ == "__main__":
    large_frames()
