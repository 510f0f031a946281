"""What a shadow compares, and the event that puts its findings on record."""

from collections.abc import Mapping, Sequence

from inspection.records import Draft
from inspection.shadow.candidate import Candidate
from inspection.shadow.events import SHADOW, ShadowEvent, ShadowFinding, Trial, shadow_details
from inspection.station import Station


def trial_of(candidate: Candidate, limits: Mapping[str, float], station: Station) -> Trial:
    """The comparison of a candidate, decided at `limits`, with what a station runs."""
    recipe, detector = station.recipe, station.detector
    return Trial(
        candidate.package.identity, dict(limits), detector.package.identity, station.limits.model_dump(),
        recipe.product,
        candidate.classifier.digest if candidate.classifier else None,
        recipe.region.model_dump(mode="json", exclude_none=True) if recipe.region else None,
    )  # fmt: skip


def draft_of(
    station: Station, trial: Trial | None, runtime: str, findings: Sequence[ShadowFinding], shed: Mapping[str, int],
    failed: Mapping[str, int],
) -> Draft:  # fmt: skip
    """The event of some findings and counts. Before a candidate was ever loaded there are counts alone."""
    if trial is None:
        return station.event(SHADOW, units=[], shed=dict(shed), failed=dict(failed))
    return station.event(SHADOW, **shadow_details(ShadowEvent(trial, tuple(findings), shed, failed), runtime))
