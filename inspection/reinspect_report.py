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
from inspection.equivalence.page import render_part
from inspection.frames import Pixels
from inspection.heatmap import overlay
from inspection.image_finding import find_in_image
from inspection.ordered_pool import map_in_order
from inspection.reinspect_tally import Direction, Tally
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

Item = dict[str, Any]


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


def render_report(
    summary: Mapping[str, Any],
    tallies: Sequence[Tally],
    work: WorkList,
    detectors: Sequence[Detector],
    threads: int,
) -> bytes:
    """The page for the content of `result.json`, a part for each package; pictures are read from `work` and inspected
    again by the package's detector. Of several packages each has its share of the pictures."""
    most = max(1, MOST_PICTURES // len(detectors))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"score": _score, "words": _words}
    parts = [
        _part(said, tally, work, detector, threads, most)
        for said, tally, detector in zip(per_package(summary), tallies, detectors, strict=True)
    ]
    page = environment.get_template("reinspect.html").render(
        parts=parts,
        result=summary,
        outcomes=[str(outcome) for outcome in (Outcome.PASS, Outcome.REVIEW, Outcome.REJECT)],
    )
    return page.encode("utf-8", "replace")


def per_package(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The content of `result.json` as each package's own: what is so of all of them, and what it alone changes."""
    first = {name: value for name, value in summary.items() if name != "further"}
    shared = {name: value for name, value in first.items() if name not in ("classifier", "comparison")}
    return [first, *({**shared, **other} for other in summary.get("further", ()))]


def _part(
    said: Mapping[str, Any], tally: Tally, work: WorkList, detector: Detector, threads: int, most: int
) -> dict[str, Any]:
    shown, groups = _chosen(said, tally, most)
    limits = detector.manifest.limits

    def illustrate(item: Item) -> Row:
        review, reject = item["limits"] or (limits.review_limit, limits.reject_limit)
        return _row(item, work, detector, Limits(review_limit=review, reject_limit=reject))

    rows = {id(row.item): row for row in map_in_order(illustrate, shown, threads)}
    illustrated = [
        Group(old, new, total, tuple(rows[id(item)] for item in items if id(item) in rows))
        for (old, new), total, items in groups
    ]
    compared = said.get("comparison")
    return {
        "compared": compared, "comparison": render_part(compared) if compared and "verdict" in compared else "",
        "result": said, "groups": illustrated, "pictures": len(shown), "limits": limits,
        "unreadable": said["unreadable"][:MOST_UNREADABLE],
    }  # fmt: skip


Groups = list[tuple[Direction, int, list[Item]]]


def _chosen(said: Mapping[str, Any], tally: Tally, most: int) -> tuple[list[Item], Groups]:
    """The units to show with pictures, and the foremost units by direction with how many there are in all."""
    if tally.stopped.total:
        stopped = list(said["stopped"])
        return stopped[:most], [((None, "REJECT"), tally.stopped.total, stopped)]
    directions = [one for one in dict.fromkeys([*_DIRECTIONS, *tally.foremost]) if one in tally.foremost]
    groups: Groups = [(one, tally.foremost[one].total, tally.foremost[one].items) for one in directions]
    return _fairly((items for _, _, items in groups), most), groups


def _fairly(groups: Iterable[Sequence[Item]], most: int) -> list[Item]:
    """The first of each group, then the second of each…, so that no large group leaves a small one without pictures."""
    taken = chain.from_iterable(zip_longest(*groups))
    return [item for item in taken if item is not None][:most]


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
