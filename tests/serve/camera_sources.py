"""Sources for cameras to read from, and short ways to read them."""

import threading
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from inspection.frames import Frame, Pixels, encode_png
from inspection.recipe import CameraConfig
from serve.cameras import Camera, Shot, open_camera
from serve.cameras.http import CameraBusy, HttpCamera


def numbered(number: int) -> Pixels:
    """A frame whose brightness says its number."""
    return np.full((48, 64, 3), (20 * number + 10) % 256, np.uint8)


def write_video(path: Path, frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for number in range(frames):
        writer.write(numbered(number))
    writer.release()
    return path


def write_images(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03}.png"), numbered(number))
    return folder


def camera_of(kind: str, recipe_file: Path, **options: Any) -> Camera:
    camera = open_camera(CameraConfig.model_validate({"kind": kind, "name": "cam", **options}), recipe_file)
    if isinstance(camera, HttpCamera):
        push_numbered(camera)
    return camera


def push_numbered(camera: HttpCamera, count: int = 400) -> None:
    """Push so many frames from a thread, as fast as they are taken."""

    def push() -> None:
        for number in range(count):
            with suppress(CameraBusy):
                camera.push(encode_png(numbered(number)))
            time.sleep(0.005)

    threading.Thread(target=push, daemon=True).start()


def take(camera: Camera, count: int | None = None) -> list[Shot]:
    return list(islice(camera.shots(threading.Event()), count))


def only_frames(shots: list[Shot]) -> list[Frame]:
    assert all(isinstance(shot, Frame) for shot in shots), shots
    return [shot for shot in shots if isinstance(shot, Frame)]
