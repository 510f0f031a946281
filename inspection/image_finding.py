"""From a stored image to a finding, or to the reason why there is none: what `predict` and `reinspect` do per image."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from inspection.detector import Detector, FrameDetector
from inspection.errors import InspectionError
from inspection.finding import Finding
from inspection.frames import Colour, Pixels, decode_frame
from inspection.image_quality import FrameNotGood
from inspection.one_frame import OneFrame
from inspection.preprocess import FrameWrongGeometry
from inspection.verdict import Limits, Reason, Verdict, reason_for, reject

# Python's own names for objects hold addresses, which would make two runs differ.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True)
class Failure:
    """Why an image has no finding: the error's code, one sentence that names the image, and the reason to reject."""

    code: str
    message: str
    reason: Reason


class InspectionFailed(Exception):
    """What a detector raises that inspects somewhere else, where the failure is known already; `asked` is the name of
    the frame there."""

    def __init__(self, failure: Failure, asked: str) -> None:
        super().__init__(failure.message)
        self.failure, self.asked = failure, asked


@dataclass(frozen=True)
class ImageFinding:
    """Either `finding` with the `pixels` `[H, W, 3]` uint8 RGB it was made in, or `failure`."""

    finding: Finding | None = None
    pixels: Pixels | None = None
    failure: Failure | None = None

    def verdict(self, limits: Limits) -> Verdict:
        """The verdict at `limits`; without a finding, a rejection with the reason."""
        if self.finding is not None:
            return self.finding.verdict(limits)
        return reject(self.failure.reason if self.failure else Reason.FRAME_LOST)

    def beside(self, limits: Limits) -> "ImageFinding":
        """The same with these limits for what another package found."""
        if self.finding is None:
            return self
        also = tuple((one, limits) for one, _ in self.finding.also)
        return replace(self, finding=replace(self.finding, also=also))


def find_in_image(detector: FrameDetector, name: str, read: Callable[[], bytes]) -> ImageFinding:
    """Read, decode and inspect one image; `name` is used in messages. Never raises: whatever goes wrong is the failure.

    Safe to call from several threads where `read` is.
    """
    try:
        pixels = decode_frame(read(), name, detector.manifest.input.colour)
    except Exception as error:  # whatever it is, the image must not pass, and the others must go on
        return ImageFinding(failure=_failure(error, name, Reason.FRAME_UNREADABLE))
    return find_in_frame(detector, name, pixels)


def find_in_frame(detector: FrameDetector, name: str, pixels: Pixels) -> ImageFinding:
    """Inspect one frame `[H, W, 3]` uint8 RGB. Never raises: whatever goes wrong is the failure."""
    return _found(lambda: detector.find(pixels), name, pixels)


def find_with_each(detectors: Sequence[Detector], name: str, read: Callable[[], bytes]) -> list[ImageFinding]:
    """What each of several detectors finds in one image, as `find_in_image`: it is read once, decoded once for each
    colour that they want, and what two of them compute alike of it is computed once."""
    try:
        data = read()
    except Exception as error:
        return [ImageFinding(failure=_failure(error, name, Reason.FRAME_UNREADABLE))] * len(detectors)
    frames: dict[Colour, OneFrame | Failure] = {}
    found: list[ImageFinding] = []
    for detector in detectors:
        colour = detector.manifest.input.colour
        if colour not in frames:
            try:
                frames[colour] = OneFrame(decode_frame(data, name, colour))
            except Exception as error:
                frames[colour] = _failure(error, name, Reason.FRAME_UNREADABLE)
        frame = frames[colour]
        if isinstance(frame, Failure):
            found.append(ImageFinding(failure=frame))
        else:
            found.append(_found(partial(detector.find_in, frame), name, frame.pixels))
    return found


def _found(find: Callable[[], Finding], name: str, pixels: Pixels) -> ImageFinding:
    try:
        return ImageFinding(find(), pixels)
    except InspectionFailed as error:
        message = error.failure.message.replace(error.asked, name, 1)
        return ImageFinding(failure=replace(error.failure, message=message))
    except Exception as error:
        return ImageFinding(failure=_failure(error, name, Reason.MODEL_FAULT))


def _failure(error: Exception, name: str, usual: Reason) -> Failure:
    """The failure for `error`. Where the error's code is also a reason code, it is the reason; otherwise `usual` is."""
    if not isinstance(error, InspectionError):
        first = (str(error).strip().splitlines() or ["no message"])[0]
        return Failure(str(usual), _ADDRESS.sub("", f"{name}: {type(error).__name__}: {first}"), usual)
    message = f"{name}: {error}" if isinstance(error, FrameWrongGeometry | FrameNotGood) else str(error)
    return Failure(error.code, _ADDRESS.sub("", message), reason_for(error.code, usual))
