"""Dispositions and records as JSON, for pages and machines."""

from typing import Any

from inspection.frame_verdicts import FrameVerdict, frame_verdicts, worst_frame
from inspection.record_findings import CLASSIFIER, named_defects
from inspection.records import Entry
from inspection.station import Disposition


def describe(disposition: Disposition) -> dict[str, Any]:
    """A disposition, with its record where it has one."""
    return {
        "unit": disposition.unit,
        "outcome": disposition.outcome,
        "reason": disposition.reason,
        "message": disposition.message,
        "record": describe_entry(disposition.entry) if disposition.entry else None,
    }


def describe_entry(entry: Entry) -> dict[str, Any]:
    """A record, with the addresses of its pictures."""
    base = f"/api/records/{entry.station}/{entry.sequence}"
    first = entry.frames[0] if entry.frames else None
    links = {
        "self": base,
        "image": f"{base}/image" if first and (first.image or first.thumbnail) else None,
        "heatmap": f"{base}/heatmap" if first and first.heatmap else None,
    }
    names = (
        "station", "sequence", "kind", "recorded_at", "unit", "batch", "product", "recipe", "package", "outcome",
        "reason", "score", "review_limit", "reject_limit", "latency_ms", "previous", "hash",
    )  # fmt: skip
    frames = [{"camera": f.camera, "sequence": f.sequence, "captured_at": f.captured_at, "image": f.image,
               "heatmap": f.heatmap, "thumbnail": f.thumbnail, "score": f.score, "said": _said(verdict)}
              for f, verdict in zip(entry.frames, frame_verdicts(entry), strict=True)]  # fmt: skip
    return {name: getattr(entry, name) for name in names} | {
        "frames": frames, "details": dict(entry.details), "named": named_defects(entry), "links": links,
        "worst_frame": worst_frame(entry),
    }  # fmt: skip


def describe_past(entry: Entry, outcome: str | None, reason: str | None) -> dict[str, Any]:
    """What a page shows of a unit that went by, with the outcome and the reason that hold in the end."""
    worst = worst_frame(entry)
    shown = None if worst is None else entry.frames[worst]
    decided = entry.details[CLASSIFIER] if entry.details.get("decided_by") == CLASSIFIER else vars(entry)
    return {
        "station": entry.station, "sequence": entry.sequence, "unit": entry.unit, "outcome": outcome, "reason": reason,
        "message": entry.details.get("message", ""), "recorded_at": entry.recorded_at, "score": decided.get("score"),
        "named": named_defects(entry), "worst_frame": worst,
        "pictured": bool(shown and (shown.image or shown.thumbnail)),
    }  # fmt: skip


def _said(verdict: FrameVerdict) -> dict[str, Any]:
    """What a frame alone says, and by which score and limits."""
    limits = verdict.limits.model_dump() if verdict.limits else {"review_limit": None, "reject_limit": None}
    return {"outcome": verdict.outcome, "score": verdict.score} | limits
