"""How far copies of an image lie from it in the perceptual hash, and how near other images of the product come.

python -m benchmarks.near_duplicates --data ../shared/data
"""

from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np

from benchmarks.accuracy import CATEGORIES
from data.layouts import load_dataset
from data.near_duplicates import perceptual_hash
from inspection.frames import Pixels, read_frame


def _jpeg(pixels: Pixels) -> Pixels:
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)


def _half(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _brighter(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.convertScaleAbs(pixels, alpha=1.1), dtype=np.uint8)


def _cropped(pixels: Pixels) -> Pixels:
    rows, columns = (max(1, round(0.005 * length)) for length in pixels.shape[:2])
    return pixels[rows:-rows, columns:-columns]


COPIES: dict[str, Callable[[Pixels], Pixels]] = {
    "JPEG 60": _jpeg, "half the size": _half, "10 % brighter": _brighter, "1 % cropped": _cropped,
}  # fmt: skip


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--category", "names", multiple=True, type=click.Choice(list(CATEGORIES)), help="Only these.")
def near_duplicates(data: Path, names: tuple[str, ...]) -> None:
    """Bits of 256 that differ: of each kind of copy the most of 95 % of images and of all, and of the nearest other
    image the fewest of all, of 95 % and of half of the images."""
    print(f"| | {' | '.join(COPIES)} | nearest other image |")
    print("|---" * (len(COPIES) + 2) + "|")
    for name in names or CATEGORIES:
        layout, folder = CATEGORIES[name]
        dataset = load_dataset(layout, data / folder, name)
        hashes, copies = [], []
        for sample in [*dataset.train, *dataset.test]:
            pixels = read_frame(sample.path).pixels
            hashes.append(perceptual_hash(pixels))
            copies.append([_apart(hashes[-1], perceptual_hash(change(pixels))) for change in COPIES.values()])
        nearest = [min(_apart(one, two) for j, two in enumerate(hashes) if j != i) for i, one in enumerate(hashes)]
        cells = [f"{np.percentile(part, 95):.0f}, {max(part)}" for part in np.array(copies).T]
        others = ", ".join(f"{np.percentile(nearest, share):.0f}" for share in (0, 5, 50))
        print(f"| {name} | {' | '.join(cells)} | {others} |", flush=True)


def _apart(one: np.ndarray, two: np.ndarray) -> int:
    return int(np.bitwise_count(one ^ two).sum())


if __name__ == "__main__":
    near_duplicates()
