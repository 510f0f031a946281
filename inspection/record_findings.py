"""What a unit's record says of its findings: one package's, or a detector's and a classifier's beside it."""

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from inspection.manifest import Severity
from inspection.records import Entry
from inspection.verdict import Limits, Outcome

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
UNNAMED = "unnamed"
PACKAGE, CLASSIFIER = "package", "classifier"


def deciding_limits(entry: Entry) -> Limits | None:
    """The limits of the finding that decided the unit, and whose heatmap is on record; None where there was none."""
    own, classifier = recorded_limits(entry)
    return classifier if entry.details.get("decided_by") == CLASSIFIER else own


def recorded_limits(entry: Entry) -> tuple[Limits | None, Limits | None]:
    """The package's and the classifier's limits that were applied. Raises ValueError or TypeError for what are none."""
    found = (vars(entry), entry.details.get(CLASSIFIER) or {})
    pairs = [(part.get("review_limit"), part.get("reject_limit")) for part in found]
    own, classifier = (
        None if review is None or reject is None else Limits(review_limit=review, reject_limit=reject)
        for review, reject in pairs
    )
    return own, classifier


def named_defects(entry: Entry) -> list[str]:
    """The defects that a classifier is sure of on a unit that did not pass, each with its probability, for people."""
    if entry.outcome in (None, Outcome.PASS):
        return []
    return [
        f"{name} {100 * part['classes'][name]:.0f} %" for part in _parts(entry.details) for name in part.get("sure", ())
    ]


def sure_defects(details: Mapping[str, Any]) -> list[str]:
    """The defects that a classifier is sure of, each once."""
    return list(dict.fromkeys(name for part in _parts(details) for name in part.get("sure", ())))


def unit_severity(details: Mapping[str, Any]) -> str:
    """The worst severity among the classes that were surely found, `unnamed` where none was."""
    sure = sure_defects(details)
    return worst_severity(details, sure) if sure else UNNAMED


def worst_severity(details: Mapping[str, Any], labels: Iterable[str]) -> Severity:
    """The worst severity of these defects, of which there is one at least. One that the unit was not inspected for
    counts as critical."""
    known = {name: severity for part in _parts(details) for name, severity in part.get("severity", {}).items()}
    return min((known.get(label, SEVERITIES[0]) for label in labels), key=SEVERITIES.index)


def _parts(details: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [part for part in (details, details.get(CLASSIFIER)) if part]
