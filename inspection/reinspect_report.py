"""The report of a re-inspection: one HTML page that needs nothing beside it, with the pictures inside."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import cv2
import jinja2

from inspection.detector import Detector
from inspection.frames import Pixels
from inspection.heatmap import overlay
from inspection.image_finding import find_in_image
from inspection.ordered_pool import map_in_order
from inspection.verdict import SHOWN, Limits, Outcome
from inspection.work_list import WorkList

MOST_PICTURES = 200
MOST_UNREADABLE = 500
_LONG_SIDE = 320
_JPEG_QUALITY = 82
_TEMPLATES = Path(__file__).parent / "templates"
# The order of the groups: first what left the plant and would be stopped now, then what would no longer be stopped.
_DIRECTIONS = (
    ("PASS", "REJECT"), ("PASS", "REVIEW"), ("REJECT", "PASS"), ("REVIEW", "PASS"), ("REVIEW", "REJECT"),
    ("REJECT", "REVIEW"),
)  # fmt: skip

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One unit in a table: its entry of the result, and two JPEG data addresses, or None where there is no picture."""

    item: Item
    picture: str | None = None
    heatmap: str | None = None


@dataclass(frozen=True)
class Group:
    """The units that changed in one direction, or (`old` is None) that do not pass; `total` counts those not shown."""

    old: str | None
    new: str
    total: int
    rows: tuple[Row, ...]

    @property
    def line_fault(self) -> bool:
        """Whether some of them were rejected for a fault of the line, which a new package does not repeat."""
        return any(row.item["old_reason"] not in (None, *SHOWN) for row in self.rows)


def render_report(summary: Mapping[str, Any], work: WorkList, detector: Detector, threads: int) -> bytes:
    """The page for the content of `result.json`; pictures are read from `work` and inspected again by `detector`."""
    shown, groups = _chosen(summary)
    limits = detector.manifest.limits

    def illustrate(item: Item) -> Row:
        review, reject = item["limits"] or (limits.review_limit, limits.reject_limit)
        return _row(item, work, detector, Limits(review_limit=review, reject_limit=reject))

    rows = {id(row.item): row for row in map_in_order(illustrate, shown, threads)}
    illustrated = [
        Group(old, new, len(items), tuple(rows[id(item)] for item in items if id(item) in rows))
        for (old, new), items in groups
    ]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"score": _score, "words": _words}
    page = environment.get_template("reinspect.html").render(
        result=summary,
        groups=illustrated,
        pictures=len(shown),
        unreadable=summary["unreadable"][:MOST_UNREADABLE],
        outcomes=[str(outcome) for outcome in (Outcome.PASS, Outcome.REVIEW, Outcome.REJECT)],
        limits=limits,
    )
    return page.encode("utf-8", "replace")


def _chosen(summary: Mapping[str, Any]) -> tuple[list[Item], list[tuple[tuple[str | None, str], list[Item]]]]:
    """The units to show with pictures, and all units by direction, each group with what matters most first."""
    if summary["stopped"]:
        stopped = list(summary["stopped"])
        return stopped[:MOST_PICTURES], [((None, "REJECT"), stopped)]
    changed = summary["changed_verdicts"]
    directions = dict.fromkeys([*_DIRECTIONS, *((item["old"], item["new"]) for item in changed)])
    groups: list[tuple[tuple[str | None, str], list[Item]]] = []
    for old, new in directions:
        items = [item for item in changed if (item["old"], item["new"]) == (old, new)]
        if items:
            groups.append(((old, new), sorted(items, key=lambda item: _rank(item, new))))
    return _fairly((items for _, items in groups), MOST_PICTURES), groups


def _fairly(groups: Iterable[Sequence[Item]], most: int) -> list[Item]:
    """The first of each group, then the second of each…, so that no large group leaves a small one without pictures."""
    taken = chain.from_iterable(zip_longest(*groups))
    return [item for item in taken if item is not None][:most]


def _rank(item: Item, new: str) -> float:
    """What would be stopped now: the highest new score first. What would pass now: the highest old score first."""
    score = item["old_score"] if new == Outcome.PASS else item["new_score"]
    return -score if score is not None else float("inf")


def _row(item: Item, work: WorkList, detector: Detector, limits: Limits) -> Row:
    image = item["image"]
    if image is None:
        return Row(item)
    outcome = find_in_image(detector, work.title(image), lambda: work.read(image))
    if outcome.finding is None or outcome.pixels is None:
        return Row(item)
    small = _thumbnail(outcome.pixels)
    decided, its_limits, _ = outcome.finding.deciding(limits)
    return Row(item, _data_address(small), _data_address(overlay(small, decided.heatmap, its_limits)))


def _thumbnail(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    factor = min(1.0, _LONG_SIDE / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype("uint8", copy=False)


def _data_address(pixels: Pixels) -> str:
    _, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _words(code: str | None) -> str:
    """A reason code as words."""
    return (code or "").replace("_", " ")
