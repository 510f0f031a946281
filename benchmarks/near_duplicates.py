"""How many copies of images are known as near-duplicates, and how many other images of the product are taken for some.

python -m benchmarks.near_duplicates --data ../shared/data
"""

from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np

from benchmarks.accuracy import CATEGORIES
from data.layouts import load_dataset
from data.near_duplicates import Fingerprint, fingerprint, near_duplicate_groups
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
    """Which share of copies is found, of each kind, and how many of the product's images are taken for copies."""
    print(f"| | images | {' | '.join(COPIES)} | others taken for copies |")
    print("|---" * (len(COPIES) + 3) + "|")
    for name in names or CATEGORIES:
        layout, folder = CATEGORIES[name]
        dataset = load_dataset(layout, data / folder, name)
        looks, found = [], []
        for sample in [*dataset.train, *dataset.test]:
            pixels = read_frame(sample.path).pixels
            looks.append(fingerprint(pixels))
            found.append([_joined([looks[-1], fingerprint(change(pixels))]) for change in COPIES.values()])
        cells = [f"{100 * share:.0f} %" for share in np.mean(found, axis=0)]
        sizes = np.bincount(near_duplicate_groups(looks))
        print(f"| {name} | {len(looks)} | {' | '.join(cells)} | {sizes[sizes > 1].sum()} |", flush=True)


def _joined(images: list[Fingerprint]) -> bool:
    return len(set(near_duplicate_groups(images))) == 1


if __name__ == "__main__":
    near_duplicates()
