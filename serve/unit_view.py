"""One unit for a person who decides on it: what the pages show of it, in plain values."""

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from inspection.errors import InspectionError
from inspection.heatmap import decode_heatmap
from inspection.outlines import outlines
from inspection.record_findings import CLASSIFIER, PACKAGE, SEVERITIES, deciding_limits, recorded_limits
from inspection.records import Entry
from inspection.registry.items import read_versions
from inspection.review_queue import labels_used
from inspection.reviews import deciding_review
from inspection.signatures import signatures_of
from serve.authentication import Who
from serve.routes.reviews import visible_reviews
from serve.service import Service

# Wide enough for a picture's place on a page; the layer is smooth by itself.
SHOWN_PX, LAYER_PX, FULL_PX, THUMB_PX = 960, 480, 4096, 120
_MOST_CHOICES = 9  # keys 1 to 9


def unit_view(service: Service, entry: Entry, who: Who) -> dict[str, Any]:
    """What is on record of a unit, for who looks: others' decisions are left out (`withheld`) where that person is to
    decide without them. Raises ArchiveFault and ReviewInvalid."""
    archive = service.archive
    reviews, corrections, withheld = visible_reviews(archive, entry, who)
    corrected = corrections[-1] if corrections else None
    counts = deciding_review(reviews)
    frames = [_frame(service, entry, at) for at in range(len(entry.frames))]
    known = [-math.inf if one.score is None else one.score for one in entry.frames]
    worst = known.index(max(known)) if known else 0
    return {
        "entry": entry,
        "outcome": corrected.details.get("outcome") if corrected else entry.outcome,
        "reason": corrected.reason if corrected else entry.reason,
        "corrections": corrections,
        "scores": _scores(entry),
        "classes": _classes(entry),
        "package": _package_name(service, entry),
        "reviews": reviews,
        "counts": counts,
        "withheld": withheld,
        "mine": [one for one in reviews if one.reviewer == who.name],
        "signatures": signatures_of(archive, entry),
        "picture": {
            "record": entry.name, "name": entry.unit or entry.name, "frames": frames, "worst": worst,
            "last": reviews[-1].name if reviews else "",
            "mine": [asdict(one) for one in reviews if one.reviewer == who.name][-1:],
        },
    }  # fmt: skip


def choices(service: Service, product: str | None, classes: Iterable[str] = ()) -> list[str]:
    """Names of defects to choose from, by key: those of the packages that run for the product, those of a record's
    `classes`, then those used before, the most frequent first."""
    detector = service.station.detector
    running: list[str] = []
    if product == service.line.recipe.product:
        manifests = [detector.manifest, *([detector.classifier.package.manifest] if detector.classifier else [])]
        running = [one.name for manifest in manifests for one in manifest.classes]
    found = dict.fromkeys([*running, *classes, *labels_used(service.archive, product)])
    return list(found)[:_MOST_CHOICES]


def _frame(service: Service, entry: Entry, at: int) -> dict[str, Any]:
    frame, base = entry.frames[at], f"/api/records/{entry.station}/{entry.sequence}"
    shown, mapped = frame.image or frame.thumbnail, frame.heatmap
    return {
        "camera": frame.camera,
        "number": frame.sequence,
        "captured_at": frame.captured_at,
        "score": frame.score,
        "image": f"{base}/image?frame={at}&width={SHOWN_PX}" if shown else None,
        "thumb": f"{base}/image?frame={at}&width={THUMB_PX}" if shown else None,
        "full": f"{base}/image?frame={at}&width={FULL_PX}" if frame.image else None,
        "layer": f"{base}/heatmap?frame={at}&layer=true&width={LAYER_PX}" if mapped else None,
        "normal": f"{base}/normal?frame={at}" if shown else None,
        "outlines": _outlines(service, entry, mapped),
    }


def _outlines(service: Service, entry: Entry, name: str | None) -> dict[str, Any]:
    limits = deciding_limits(entry)
    if name is None or limits is None:
        return {}
    try:
        heatmap = decode_heatmap(service.archive.images.get(name), name)
    except InspectionError:  # the picture of it will say so
        return {}
    return outlines(heatmap, limits, heatmap.shape[1] / heatmap.shape[0])


def _scores(entry: Entry) -> list[dict[str, Any]]:
    """Each package's score with its limits, and whether it decided."""
    decided = entry.details.get("decided_by", PACKAGE)
    beside = entry.details.get(CLASSIFIER) or {}
    own, classifier = recorded_limits(entry)
    parts = ((PACKAGE, entry.score, own), (CLASSIFIER, beside.get("score"), classifier))
    return [{"of": of, "score": score, "decided": of == decided and len(beside) > 0, **limits.model_dump()}
            for of, score, limits in parts if limits]  # fmt: skip


def _classes(entry: Entry) -> list[dict[str, Any]]:
    """The defects that a classifier knows: name, probability, severity, whether it is sure; the most probable first."""
    found = {}
    for part in (entry.details, entry.details.get(CLASSIFIER) or {}):
        severity, sure = part.get("severity", {}), part.get("sure", ())
        for name, probability in part.get("classes", {}).items():
            found[name] = {"name": name, "probability": probability, "sure": name in sure,
                           "severity": severity.get(name, SEVERITIES[0])}  # fmt: skip
    return sorted(found.values(), key=lambda one: (not one["sure"], -one["probability"]))


def _package_name(service: Service, entry: Entry) -> str | None:
    """Name and version of the package that made the record, where it is known here."""
    package = service.station.detector.package
    if package.digest == entry.package:
        return f"{package.manifest.name} {package.manifest.version}"
    for version in read_versions(service.archive).values():
        if version.digest == entry.package:
            return f"{version.name} {version.version}"
    return None
