"""Pixel metrics of a made-up category: seconds and peak memory, the textbook way and image by image.

python benchmarks/metrics.py --images 200 --size 512
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.heatmap import enlarge
from training.metrics import auroc
from training.pixel_metrics import count_pixels

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]
WAYS = ("maps alone", "textbook", "image by image")


@click.command()
@click.option("--images", default=200, show_default=True, help="Half of them good.")
@click.option("--size", default=512, show_default=True, help="Height and width in pixels.")
@click.option("--radius", default=0.05, show_default=True, help="Of the two defects on an image, in heights.")
@click.option("--way", type=click.Choice(WAYS), help="Only this, here, as JSON.")
def metrics(images: int, size: int, radius: float, way: str | None) -> None:
    """One row per way, each in a process of its own: seconds, peak memory (100 MB of which are the imports), and the
    figures, which must agree."""
    if way:
        print(json.dumps(measured(way, images, size, radius)))
        return
    print("| way | seconds | CPU seconds | peak MB | pixel AUROC | AUPRO 30 % | AUPRO 5 % |")
    print("|---|---|---|---|---|---|---|")
    for name in WAYS:
        options = ["--images", str(images), "--size", str(size), "--radius", str(radius), "--way", name]
        done = subprocess.run([sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE)
        result = json.loads(done.stdout)
        figures = " | ".join(f"{value:.12f}" for value in result["figures"]) or "- | - | -"
        cells = [name, f"{result['seconds']:.1f}", f"{result['cpu_seconds']:.1f}", f"{result['peak_mb']:.0f}", figures]
        print(f"| {' | '.join(cells)} |", flush=True)


def measured(way: str, images: int, size: int, radius: float) -> dict[str, object]:
    """Seconds and peak memory of this process, with the enlarging of the maps, which every way has to do."""
    start, start_cpu = time.perf_counter(), time.process_time()
    if way == "maps alone":
        figures: list[float | None] = []
        for number in range(images):
            made(number, size, radius)
    elif way == "textbook":
        figures = textbook([made(number, size, radius) for number in range(images)])
    else:
        figures = image_by_image(images, size, radius)
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - start_cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "figures": figures,
    }


def made(number: int, size: int, radius: float) -> tuple[Map, Mask]:
    """One image's map, from a grid of 64 x 64 as a detector gives it, and its mask: odd numbers have two defects."""
    random = np.random.default_rng(number)
    heatmap = random.gamma(4, 1, size=(64, 64)).astype(np.float32)
    mask = np.zeros((size, size), np.uint8)
    for row, column in random.uniform(0.1, 0.9, size=(2 * (number % 2), 2)):
        cv2.circle(mask, (int(column * size), int(row * size)), round(radius * size), 1, -1)
        heatmap[int(row * 64), int(column * 64)] += 20
    return enlarge(heatmap, size, size), mask.astype(bool)


def image_by_image(images: int, size: int, radius: float) -> list[float | None]:
    """As `evaluate` does it."""

    def marked() -> Iterator[tuple[Map, Mask]]:
        return (made(number, size, radius) for number in range(1, images, 2))

    counts = count_pixels(marked, (made(number, size, radius)[0] for number in range(0, images, 2)))
    assert counts is not None
    return [counts.auroc(), counts.aupro(0.3), counts.aupro(0.05)]


def textbook(pairs: list[tuple[Map, Mask]]) -> list[float | None]:
    """All pixels of all images side by side, ranked, as `evaluate` did it before."""
    overlaps, regions = [], 0
    for _, mask in pairs:
        count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        share = np.zeros(count)
        share[1:] = 1 / statistics[1:, cv2.CC_STAT_AREA]
        overlaps.append(share[labels].ravel())
        regions += count - 1
    overlap = np.concatenate(overlaps)
    normal = overlap == 0
    values = np.concatenate([heatmap.ravel() for heatmap, _ in pairs])
    order = np.argsort(-values, kind="stable")
    last = np.append(np.flatnonzero(np.diff(values[order])), len(order) - 1)
    fpr = np.concatenate([[0.0], np.cumsum(normal[order])[last] / normal.sum()])
    pro = np.concatenate([[0.0], np.cumsum(overlap[order])[last] / regions])
    areas: list[float | None] = []
    for limit in (0.3, 0.05):
        inside = fpr <= limit
        y = np.append(pro[inside], np.interp(limit, fpr, pro))
        areas.append(float(np.trapezoid(y, np.append(fpr[inside], limit)) / limit))
    pixel = auroc(values, np.concatenate([mask.ravel() for _, mask in pairs]))
    return [pixel, *areas]


if __name__ == "__main__":
    metrics()
