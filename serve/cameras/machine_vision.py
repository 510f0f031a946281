"""What GigE Vision and USB3 Vision cameras have in common, whichever library reads them: options, pixels, counts."""

from typing import Literal, Self, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from inspection.frames import Frame, FrameWrongFormat, Pixels
from inspection.verdict import Reason
from serve.cameras.camera import Camera, CameraOptions, Fault, Shot, Watched

PixelFormat = Literal["Mono8", "RGB8", "BGR8", "BayerRG8", "BayerGR8", "BayerGB8", "BayerBG8"]
# The codes of the GenICam Pixel Format Naming Convention.
PIXEL_FORMAT_CODES: dict[int, str] = {
    0x01080001: "Mono8", 0x01080008: "BayerGR8", 0x01080009: "BayerRG8", 0x0108000A: "BayerGB8",
    0x0108000B: "BayerBG8", 0x02180014: "RGB8", 0x02180015: "BGR8",
}  # fmt: skip
# GenICam names a mosaic by its first two pixels; so do these names of OpenCV (its short ones begin elsewhere).
_BAYER = {
    "BayerRG8": cv2.COLOR_BayerRGGB2RGB, "BayerGR8": cv2.COLOR_BayerGRBG2RGB,
    "BayerGB8": cv2.COLOR_BayerGBRG2RGB, "BayerBG8": cv2.COLOR_BayerBGGR2RGB,
}  # fmt: skip
_SILENCE_S = 2.0
_LAST_SHORT_ID = 0xFFFF  # GigE Vision 1: 16 bits, and 0 is left out


class MachineVisionOptions(CameraOptions):
    """`trigger: free` runs at `rate_hz` (left out: at the camera's own rate), `line` waits for the camera's input
    `trigger_source`, `software` is triggered from here at `rate_hz`. What is left out stays as the camera has it.
    Without `silence_s`, one that does not wait for the line is silent 2 s after a frame was due."""

    trigger: Literal["free", "line", "software"] = "free"
    trigger_source: str = "Line1"
    rate_hz: float | None = Field(default=None, gt=0, le=10_000)
    exposure_us: float | None = Field(default=None, gt=0, le=10_000_000)
    pixel_format: PixelFormat | None = None

    @model_validator(mode="after")
    def _rate_where_there_is_one(self) -> Self:
        if self.trigger == "software" and self.rate_hz is None:
            msg = "trigger software needs rate_hz"
            raise ValueError(msg)
        if self.trigger == "line" and self.rate_hz is not None:
            msg = "trigger line has no rate_hz: the line sets it"
            raise ValueError(msg)
        return self


class MachineVisionCamera(Camera):
    """One whose frames do not wait for the line's triggers is silent after a while, also where it does not say when."""

    @classmethod
    def watched(cls, options: CameraOptions) -> Watched:
        """As its options say."""
        assert isinstance(options, MachineVisionOptions)
        silence_s = options.silence_s
        if silence_s is None and options.trigger != "line":
            silence_s = _SILENCE_S + (1 / options.rate_hz if options.rate_hz else 0.0)
        return Watched(silence_s, options.frozen_after, options.expect)


class BlockCount:
    """A camera's block ids as a count without end: 16-bit ones begin again at 1 after 65535."""

    def __init__(self) -> None:
        self._last, self._before = 0, 0

    def of(self, block_id: int) -> int:
        """The count of the block that came next. An id that jumps back otherwise is a count that began anew."""
        if self._last - block_id > _LAST_SHORT_ID // 2:
            self._before = self._before + _LAST_SHORT_ID if self._last <= _LAST_SHORT_ID else 0
        elif block_id < self._last:
            self._before = 0
        self._last = block_id
        return self._before + block_id


def rgb(data: NDArray[np.uint8], width: int, height: int, pixel_format: str) -> Pixels:
    """`[H, W, 3]` RGB of the bytes of one image. Raises FrameWrongFormat."""
    if pixel_format not in get_args(PixelFormat):
        raise FrameWrongFormat(
            f"the pixel format {pixel_format} is not read; set one of {', '.join(get_args(PixelFormat))}"
        )
    channels = 3 if pixel_format in ("RGB8", "BGR8") else 1
    if data.size != width * height * channels:
        raise FrameWrongFormat(
            f"{width} x {height} pixels of {pixel_format} are {width * height * channels} bytes, got {data.size}"
        )
    image = data.reshape(height, width, channels)
    if channels == 3:
        return np.ascontiguousarray(image if pixel_format == "RGB8" else image[:, :, ::-1])
    if pixel_format == "Mono8":
        return np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(cv2.cvtColor(image, _BAYER[pixel_format]), np.uint8)


def shot_of(
    camera: str, sequence: int, hardware_time_ns: int | None, data: NDArray[np.uint8], size: tuple[int, int], fmt: str
) -> Shot:
    """The frame of one complete image of `size` (width, height), or the fault that it is."""
    try:
        pixels = rgb(data, *size, fmt)
    except FrameWrongFormat as error:
        return Fault(Reason.FRAME_WRONG_FORMAT, f"camera {camera!r}: {error}", sequence)
    return Frame(pixels, f"{camera} {sequence}", camera, sequence, hardware_time_ns=hardware_time_ns)
