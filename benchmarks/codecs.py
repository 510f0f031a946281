"""Lossless codecs for camera frames: time to write and to read, and size, on one thread.

python -m benchmarks.codecs ../shared/data/mvtec_ad/bottle/test/good ../shared/data/mvtec_ad/capsule/test/good
"""

import time
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import imagecodecs
import numpy as np

from data.simulator import render
from inspection.frames import Pixels, encode_png, list_images, read_frame
from inspection.jpegxl import decode_jpegxl, encode_jpegxl

Codec = tuple[Callable[[Pixels], bytes], Callable[[bytes], object]]
CODECS: dict[str, Codec] = {
    "PNG, level 1": (encode_png, lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)),
    "JPEG XL, effort 1": (encode_jpegxl, decode_jpegxl),
    "JPEG XL, effort 3": (
        lambda pixels: bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, effort=3, numthreads=1)),
        decode_jpegxl,
    ),
    "WebP": (
        lambda pixels: bytes(imagecodecs.webp_encode(pixels, lossless=True, level=0)),
        lambda data: imagecodecs.webp_decode(data),
    ),
    "Zstandard, level 1": (
        lambda pixels: bytes(imagecodecs.zstd_encode(pixels.tobytes(), level=1)),
        lambda data: imagecodecs.zstd_decode(data),
    ),
}


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option("--images", default=6, show_default=True, help="Of each folder.")
def codecs(folders: tuple[Path, ...], images: int) -> None:
    """Compare codecs on simulated vials and on the images in FOLDERS."""
    cv2.setNumThreads(1)
    kinds = {"simulated vial": [render("vial", seed).frame for seed in range(images)]}
    kinds |= {str(folder): [read_frame(path).pixels for path in list_images(folder)[:images]] for folder in folders}
    print("| images | codec | write ms/MP | read ms/MP | MB/MP |\n|---|---|---|---|---|")
    for kind, frames in kinds.items():
        for name, codec in CODECS.items():
            written, read, size = measured(codec, frames)
            print(f"| {kind} | {name} | {written:.1f} | {read:.1f} | {size:.2f} |")


def measured(codec: Codec, frames: list[Pixels]) -> tuple[float, float, float]:
    """Median milliseconds a megapixel to write and to read, and megabytes a megapixel."""
    write, read = codec
    writing, reading, sizes = [], [], []
    for pixels in frames:
        megapixels = pixels.shape[0] * pixels.shape[1] / 1e6
        for _ in range(3):
            began = time.perf_counter()
            data = write(pixels)
            writing.append((time.perf_counter() - began) * 1000 / megapixels)
            began = time.perf_counter()
            read(data)
            reading.append((time.perf_counter() - began) * 1000 / megapixels)
        sizes.append(len(data) / 1e6 / megapixels)
    return float(np.median(writing)), float(np.median(reading)), float(np.mean(sizes))


if __name__ == "__main__":
    codecs()
