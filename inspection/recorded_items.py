"""From a unit's record, and what was said of it afterwards, to the item of work that re-inspection makes of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inspection.errors import InspectionError
from inspection.recipe_region import read_shapes
from inspection.record_findings import recorded_limits, sure_defects
from inspection.records import Correction, Entry, correction, from_row
from inspection.reviews import REVIEW, Decision, Review, check_reviewed, deciding_review, read_review
from inspection.verdict import Outcome
from inspection.work_list import Recorded, Truth, WorkItem

_TRUTH: dict[Decision, Truth] = {Decision.CONFIRM_REJECT: "defective", Decision.FALSE_REJECT: "good"}


@dataclass
class Said:
    """What events say of units' records, by the record's name: corrections (the last counts), reviews, and why a review
    cannot be used."""

    corrections: dict[str, Correction] = field(default_factory=dict)
    reviews: dict[str, list[Review]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> "Said":
        """What these events' rows say, in order of time. One that is nonsense says nothing; a review that is becomes a
        fault of the record it names."""
        said = cls()
        for row in rows:
            if row["reason"] != REVIEW:
                said.corrections |= correction(row)
                continue
            entry: Entry | None = None
            try:
                entry = from_row(row)
                review = read_review(entry)
                said.reviews.setdefault(str(review.record), []).append(review)
            except (InspectionError, TypeError, ValueError, KeyError, AttributeError):
                name = entry.details.get("reviews") if entry and isinstance(entry.details, dict) else None
                if isinstance(name, str):
                    said.faults[name] = f"review {row['station']}/{row['sequence']} of {name} cannot be read"
        return said

    def beside(self, other: "Said") -> "Said":
        """Both together; of a record that both speak of, this one counts."""
        return Said(other.corrections | self.corrections, other.reviews | self.reviews, other.faults | self.faults)


def recorded_item(
    row: Mapping[str, Any], said: Said, gone: Callable[[Mapping[str, Any], str], bool] = lambda _row, _image: False
) -> WorkItem:
    """The item of a unit's row. A record that cannot be understood is an item with a `fault`, so that it is counted and
    listed and never lost; images that are `gone` by the retention rule are no images of it any more."""
    name = f"{row['station']}/{row['sequence']}"
    try:
        entry = from_row(row)
        frames = [frame for frame in entry.frames if frame.image is not None and not gone(row, frame.image)]
        outcome, reason = said.corrections.get(name) or (str(Outcome(str(entry.outcome))), entry.reason)
        score = None if entry.score is None else float(entry.score)
        limits, classifier_limits = recorded_limits(entry)
        region = {camera: read_shapes(shapes) for camera, shapes in (entry.details.get("region") or {}).items()}
        review, review_fault = _review(said, entry)
        named = review.found if review and review.found is not None else sure_defects(entry.details)
        recorded = Recorded(
            hash=entry.hash,
            recorded_at=entry.recorded_at,
            batch=entry.batch,
            product=entry.product,
            package=entry.package,
            limits=(limits.review_limit, limits.reject_limit) if limits else None,
            cameras=tuple(str(frame.camera) for frame in frames),
            defects=tuple(str(one) for one in named),
            truth=_TRUTH.get(review.decision) if review else None,
            review_fault=review_fault,
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        return WorkItem(
            unit=str(row["unit"] or name),
            station=row["station"],
            sequence=row["sequence"],
            outcome=str(row["outcome"]),
            reason=str(row["reason"]),
            fault=f"record {name} cannot be understood ({type(error).__name__}); run `inspection verify`",
            recorded=Recorded(hash=str(row["hash"]), recorded_at=str(row["recorded_at"]), batch=row["batch"]),
        )
    return WorkItem(
        unit=entry.unit or name,
        images=tuple(str(frame.image) for frame in frames),
        station=entry.station,
        sequence=entry.sequence,
        outcome=outcome,
        reason=reason,
        score=score,
        limits=limits,
        classifier_limits=classifier_limits,
        regions=tuple(region.get(frame.camera) for frame in frames) if region else (),
        recorded=recorded,
    )


def has_work(item: WorkItem) -> bool:
    """Whether there is anything to inspect or to report."""
    return bool(item.images or item.fault)


def _review(said: Said, entry: Entry) -> tuple[Review | None, str | None]:
    """The review that counts, or why there is none that can be used."""
    if entry.name in said.faults:
        return None, said.faults[entry.name] + "; run `inspection verify`"
    reviews = said.reviews.get(entry.name, [])
    try:
        for review in reviews:
            check_reviewed(review, entry.hash)
    except InspectionError as error:
        return None, str(error)
    return deciding_review(reviews), None
