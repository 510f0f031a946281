"""What a shadow's findings are on record: events in the chain of the station whose units were looked at.

One event holds the findings of some units, so that a line's chain and its indexes stay small. Each finding names the
unit's record and its hash, and has both outcomes as an event of a re-inspection has them. An event names no unit and
has no outcome of its own: what counts units, corrections and reviews does not see it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inspection.equivalence.pairs import OUTCOMES
from inspection.errors import InspectionError
from inspection.records import canonical_json

SHADOW, STARTED, FAULT = "shadow", "shadow_started", "shadow_fault"
Identity = Mapping[str, str]


class ShadowUnreadable(InspectionError):
    """An event of a shadow is not what such an event holds."""

    code = "shadow_unreadable"


@dataclass(frozen=True)
class Trial:
    """What is compared: the `candidate` at its limits with the `active` package at its own, each by name, version and
    sha256, on a product; with the digest of the classifier beside both, and what the recipe's region was, if any."""

    candidate: Identity
    limits: Mapping[str, float]
    active: Identity
    active_limits: Mapping[str, float]
    product: str
    classifier: str | None = None
    region: Mapping[str, Any] | None = None

    @property
    def id(self) -> str:
        """The same for the same comparison, on whichever station and after whichever start: 16 hex digits."""
        return hashlib.sha256(canonical_json(self._content()).encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """How people name the candidate."""
        return f"{self.candidate['name']} {self.candidate['version']}"

    def plain(self) -> dict[str, Any]:
        """As events carry it."""
        return {"trial": self.id} | self._content()

    def _content(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Decided:
    """An outcome with its reason and its raw score, None where there is no finite one."""

    outcome: str
    reason: str
    score: float | None


@dataclass(frozen=True)
class ShadowFinding:
    """What both packages decided on the unit of `record` (`station/sequence`), whose hash was `record_hash`: `old` is
    on that record, `new` is the candidate's. `scores` are the candidate's, of each frame; `took_ms` is how long it
    looked; `message` says why it has no finding, if it has none."""

    record: str
    record_hash: str
    unit: str
    batch: str | None
    cameras: tuple[str, ...]
    old: Decided
    new: Decided
    scores: tuple[float | None, ...] = ()
    took_ms: float = 0.0
    message: str = ""

    @property
    def differs(self) -> bool:
        """Whether the outcomes differ. Another reason alone is no difference."""
        return self.old.outcome != self.new.outcome

    def plain(self) -> dict[str, Any]:
        """As events carry it; what says nothing is left out."""
        values = vars(self) | {"old": vars(self.old), "new": vars(self.new), "took_ms": round(self.took_ms, 1)}
        return {key: value for key, value in values.items() if value not in (None, "", ())}


@dataclass(frozen=True)
class ShadowEvent:
    """Some findings of a trial, and how many units since the event before were not looked at, by reason (`shed`); of
    the findings, how many are none, by reason (`failed`)."""

    trial: Trial
    findings: tuple[ShadowFinding, ...]
    shed: Mapping[str, int]
    failed: Mapping[str, int]


def shadow_details(event: ShadowEvent, runtime: str) -> dict[str, Any]:
    """The details of the record; `runtime` is the engine that the candidate ran in."""
    return event.trial.plain() | {
        "runtime": runtime, "units": [one.plain() for one in event.findings], "shed": dict(event.shed),
        "failed": dict(event.failed),
    }  # fmt: skip


def read_shadow(name: str, details: Mapping[str, Any]) -> ShadowEvent:
    """What the record `name` with these details holds. Raises ShadowUnreadable."""
    try:
        fields = Trial.__dataclass_fields__
        trial = Trial(**{key: value for key, value in details.items() if key in fields})
        if trial.id != details["trial"]:
            raise ValueError("another trial")
        findings = tuple(_finding(one) for one in details["units"])
        return ShadowEvent(trial, findings, _counts(details["shed"]), _counts(details["failed"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ShadowUnreadable(f"{name} cannot be read as findings of a shadow; run `inspection verify`") from error


def _finding(values: Mapping[str, Any]) -> ShadowFinding:
    sides = {side: Decided(**values[side]) for side in ("old", "new")}
    if any(one.outcome not in OUTCOMES for one in sides.values()):
        raise ValueError("no outcome")
    lists = {name: tuple(values.get(name, ())) for name in ("cameras", "scores")}
    return ShadowFinding(**({"batch": None} | dict(values) | sides | lists))


def _counts(values: Mapping[str, Any]) -> dict[str, int]:
    return {str(reason): int(count) for reason, count in values.items()}


def counted_reasons(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Several counts by reason as one, the most frequent reason first."""
    found: dict[str, int] = {}
    for one in counts:
        for reason, count in one.items():
            found[reason] = found.get(reason, 0) + count
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
