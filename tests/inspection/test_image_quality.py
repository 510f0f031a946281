"""Images that cannot be judged are found out; good ones that nobody measured before are not."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from inspection.frames import Pixels, read_frame
from inspection.image_quality import FrameBlurred, FrameExposure, ImageQuality, glance, measure, suggest

Images = dict[str, list[Path]]


@pytest.fixture(scope="module")
def quality(vial_dataset: Path) -> ImageQuality:
    """What the training images suggest."""
    return suggest(
        [measure(read_frame(path).pixels) for path in sorted((vial_dataset / "vial" / "train" / "good").iterdir())]
    )


def blurred(pixels: Pixels) -> Pixels:
    return cv2.GaussianBlur(pixels, (0, 0), 1.5).astype(np.uint8)


def scaled(factor: float) -> Callable[[Pixels], Pixels]:
    return lambda pixels: np.clip(pixels * factor, 0, 255).astype(np.uint8)


def test_images_nobody_measured_are_judged(quality: ImageQuality, vial_images: Images) -> None:
    for paths in vial_images.values():
        for path in paths[:5]:
            quality.check(read_frame(path).pixels)


@pytest.mark.parametrize(("change", "error"), [
    (blurred, FrameBlurred), (scaled(0.6), FrameExposure), (scaled(1.4), FrameExposure), (scaled(0), FrameExposure),
])  # fmt: skip
def test_images_out_of_focus_or_badly_lit_are_not(
    quality: ImageQuality, vial_images: Images, change: Callable[[Pixels], Pixels], error: type[Exception]
) -> None:
    for path in vial_images["good"][:5]:
        with pytest.raises(error, match=r"wanted|may be"):
            quality.check(change(read_frame(path).pixels))


def test_what_is_not_asked_for_is_not_looked_at() -> None:
    ImageQuality().check(np.zeros((5, 7, 3), np.uint8))
    with pytest.raises(FrameBlurred, match=r"the sharpness is 0\.0"):
        ImageQuality(min_sharpness=1.0).check(np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(FrameExposure, match=r"100\.0 % of the pixels"):
        ImageQuality(max_saturated=0.5).check(np.full((5, 7, 3), 255, np.uint8))


@pytest.mark.parametrize("wrong", [
    {"min_sharpness": 0}, {"max_brightness": 256}, {"min_brightness": 9, "max_brightness": 9}, {"sharpness": 1},
])  # fmt: skip
def test_senseless_limits_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        ImageQuality.model_validate(wrong)


def test_the_command_prints_what_a_recipe_takes(
    vial_dataset: Path, quality: ImageQuality, inspection: Callable[..., CompletedProcess[str]]
) -> None:
    done = inspection("quality", vial_dataset / "vial" / "train" / "good", "--quiet")
    keys: dict[str, Any] = yaml.safe_load(done.stdout[done.stdout.index("image_quality:") :])
    assert ImageQuality.model_validate(keys["image_quality"]) == quality
    assert "median" in done.stdout


@pytest.mark.parametrize("what", ["nowhere", "empty"])
def test_without_images_it_says_so(tmp_path: Path, what: str, inspection: Callable[..., CompletedProcess[str]]) -> None:
    (tmp_path / "empty").mkdir()
    done = inspection("quality", tmp_path / what)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_a_glance_tells_what_measuring_does(vial_images: Images) -> None:
    for path in (path for paths in vial_images.values() for path in paths[:3]):
        pixels = read_frame(path).pixels
        quick, full = glance(pixels), measure(pixels)
        assert quick.brightness == pytest.approx(full.brightness, abs=2)
        assert 0.7 < quick.sharpness / full.sharpness < 1.4
        assert quick.saturated == pytest.approx(full.saturated, abs=0.01)
        assert glance(blurred(pixels)).sharpness < 0.6 * quick.sharpness
        assert glance(scaled(0.6)(pixels)).brightness == pytest.approx(0.6 * quick.brightness, rel=0.02)


@pytest.mark.parametrize("shape", [(1, 1), (7, 900), (8, 128), (9, 129), (2000, 150), (150, 2000), (400, 400)])
def test_a_glance_at_any_shape(shape: tuple[int, int]) -> None:
    even = glance(np.full((*shape, 3), 255, np.uint8))
    assert (even.brightness, even.sharpness, even.saturated) == (255, 0, 1)
    assert glance(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)).sharpness >= 0
