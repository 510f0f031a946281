"""What a unit's record says of its findings: one package's, or a detector's and a classifier's beside it."""

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from inspection.manifest import Severity
from inspection.records import Entry
from inspection.verdict import Limits, Outcome

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
UNNAMED = "unnamed"
CLASSIFIER = "classifier"


def deciding_limits(entry: Entry) -> Limits | None:
    """The limits of the finding that decided the unit, and whose heatmap is on record; None where there was none."""
    by_classifier = entry.details.get("decided_by") == CLASSIFIER
    found = entry.details[CLASSIFIER] if by_classifier else vars(entry)
    if found["review_limit"] is None or found["reject_limit"] is None:
        return None
    return Limits(review_limit=found["review_limit"], reject_limit=found["reject_limit"])


def named_defects(entry: Entry) -> list[str]:
    """The defects that a classifier is sure of on a unit that did not pass, each with its probability, for people."""
    if entry.outcome in (None, Outcome.PASS):
        return []
    return [
        f"{name} {100 * part['classes'][name]:.0f} %" for part in _parts(entry.details) for name in part.get("sure", ())
    ]


def unit_severity(details: Mapping[str, Any]) -> str:
    """The worst severity among the classes that were surely found, `unnamed` where none was."""
    sure = [name for part in _parts(details) for name in part.get("sure", ())]
    return worst_severity(details, sure) if sure else UNNAMED


def worst_severity(details: Mapping[str, Any], labels: Iterable[str]) -> Severity:
    """The worst severity of these defects, of which there is one at least. One that the unit was not inspected for
    counts as critical."""
    known = {name: severity for part in _parts(details) for name, severity in part.get("severity", {}).items()}
    return min((known.get(label, SEVERITIES[0]) for label in labels), key=SEVERITIES.index)


def _parts(details: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [part for part in (details, details.get(CLASSIFIER)) if part]
