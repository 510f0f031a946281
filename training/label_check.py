"""Labels that a classifier which has not seen the image surely contradicts: to be looked at again (after confident
learning, Northcutt et al., 2021)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from data.labelled import GOOD
from inspection.manifest import Manifest
from training.class_figures import LABELS
from training.evaluate import Scored

SURE = 0.9


@dataclass(frozen=True)
class Doubt:
    """An image whose label has the probability `label_probability`, while `answer` has `answer_probability`."""

    file: str
    label: str
    answer: str
    label_probability: float
    answer_probability: float


def doubts(scored: Sequence[Scored], manifest: Manifest, sure: float = SURE) -> list[Doubt]:
    """Of the images those whose label is contradicted with at least the probability `sure`; the surest first."""
    found = [doubt for item in scored if (doubt := _doubt(item, manifest)) and doubt.answer_probability >= sure]
    return sorted(found, key=lambda doubt: (doubt.label_probability, doubt.file))


def _doubt(item: Scored, manifest: Manifest) -> Doubt | None:
    chances = {GOOD: math.exp(-item.score)} | {one.name: one.probability for one in item.classes}
    labels = [label for label in (item.file.defect or GOOD).split(LABELS) if label in chances]
    others = {name: chance for name, chance in chances.items() if name not in labels}
    if manifest.parameters["labels"] == "multi" and GOOD not in labels:  # a further defect is no contradiction of these
        others = {GOOD: chances[GOOD]}
    if not labels or not others:
        return None
    answer = max(others, key=others.__getitem__)
    least = min(labels, key=chances.__getitem__)
    told = LABELS.join(labels)
    if manifest.parameters["labels"] == "multi" and 1 - chances[least] > others[answer]:
        return Doubt(item.file.path, told, f"no {least}", chances[least], 1 - chances[least])
    return Doubt(item.file.path, told, answer, chances[least], others[answer])
