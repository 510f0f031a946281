"""Golden frames: model inputs that travel with the package, and what it said of them when it was made."""

from collections.abc import Mapping, Sequence

import numpy as np

from inspection.frames import Pixels
from inspection.manifest import GoldenFrame
from inspection.runtime import Runtime
from inspection.verdict import Limits, decide

TOLERANCE = 0.001


def golden_frames(good: Sequence[Pixels]) -> dict[str, Pixels]:
    """The good frames, and the first one with a checkerboard on it that any detector must notice."""
    spoiled = good[0].copy()
    height, width = spoiled.shape[:2]
    rows, columns = np.indices((height // 4, width // 4))
    board = (((rows // 4 + columns // 4) % 2) * 255).astype(np.uint8)
    top, left = (height - board.shape[0]) // 2, (width - board.shape[1]) // 2
    spoiled[top : top + board.shape[0], left : left + board.shape[1]] = board[:, :, None]
    return {**{f"good-{index}": pixels for index, pixels in enumerate(good)}, "spoiled": spoiled}


def golden_scores(detector: Runtime, frames: dict[str, Pixels], limits: Limits) -> list[GoldenFrame]:
    """Score and verdict of each frame."""
    scores = {name: float(detector.run(pixels[None])["score"][0]) for name, pixels in frames.items()}
    return [GoldenFrame(name=n, score=score, outcome=decide(score, limits).outcome) for n, score in scores.items()]


def in_every(engines: Mapping[str, Sequence[GoldenFrame]]) -> list[GoldenFrame]:
    """The frames as the first of the engines saw them, with the scores of those that gave others."""
    first, *others = engines
    found = []
    for index, frame in enumerate(engines[first]):
        scores = {name: engines[name][index].score for name in others}
        different = {name: score for name, score in scores.items() if score != frame.score}
        found.append(frame.model_copy(update={"scores": different}))
    return found
