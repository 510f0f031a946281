"""Golden frames: model inputs that travel with the package, and what it said of them when it was made."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError
from inspection.finding import classes_found
from inspection.frames import Pixels
from inspection.manifest import DefectClass, GoldenFrame
from inspection.runtime import Runtime
from inspection.verdict import Limits, Outcome, decide
from models.graph import cell_pixels

TOLERANCE = 0.001
SPOILED = "spoiled"


class DetectorBlind(InspectionError):
    """The detector does not notice what nobody could miss."""

    code = "detector_blind"


def golden_frames(good: Sequence[Pixels], inside: NDArray[np.bool_]) -> dict[str, Pixels]:
    """The good frames, and the first one with a checkerboard on it that any detector must notice: in the middle, or
    where only some cells `[rows, columns]` are `inside` the region of interest, all over these."""
    spoiled = good[0].copy()
    height, width = spoiled.shape[:2]
    rows, columns = np.indices((height, width))
    board = (((rows // 4 + columns // 4) % 2) * 255).astype(np.uint8)
    where = cell_pixels(inside)
    if inside.all():
        top, left = (height - height // 4) // 2, (width - width // 4) // 2
        where = np.zeros_like(where)
        where[top : top + height // 4, left : left + width // 4] = True
    spoiled[where] = board[where][:, None]
    return {**{f"good-{index}": pixels for index, pixels in enumerate(good)}, SPOILED: spoiled}


def check_spoiled(golden: Sequence[GoldenFrame], limits: Limits) -> None:
    """Raise DetectorBlind where the checkerboard passes."""
    for frame in golden:
        if frame.name == SPOILED and frame.outcome is Outcome.PASS:
            raise DetectorBlind(
                f"a good image with a checkerboard painted on it scores {frame.score:.4g}, below the review limit of "
                f"{limits.review_limit:.4g}: this detector would stop nothing; train on more images, all of them good "
                "and taken alike"
            )


def golden_scores(
    detector: Runtime, frames: dict[str, Pixels], limits: Limits, classes: Sequence[DefectClass] = ()
) -> list[GoldenFrame]:
    """Score and verdict of each frame; `classes` are a classifier's, whose probabilities are kept as well."""
    golden = []
    for name, pixels in frames.items():
        outputs = detector.run(pixels[None])
        score = float(outputs["score"][0])
        found = classes_found(outputs, classes)
        outcome = decide(score, limits, found).outcome
        golden.append(GoldenFrame(name=name, score=score, outcome=outcome, classes=[one.probability for one in found]))
    return golden


def in_every(engines: Mapping[str, Sequence[GoldenFrame]]) -> list[GoldenFrame]:
    """The frames as the first of the engines saw them, with what those say that said something else."""
    first, *others = engines
    found = []
    for index, frame in enumerate(engines[first]):
        same = {name: engines[name][index] for name in others}
        scores = {name: one.score for name, one in same.items() if one.score != frame.score}
        classes = {name: one.classes for name, one in same.items() if one.classes != frame.classes}
        found.append(frame.model_copy(update={"scores": scores, "classes_in": classes}))
    return found
