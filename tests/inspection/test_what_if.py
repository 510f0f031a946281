"""What other limits would change: the same as deciding every record again, for every kind of record there is."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspection.archive import Archive
from inspection.records import Draft
from inspection.reviews import Decision, add_review
from inspection.verdict import ClassFound, Limits, Outcome, Reason, combine, decide, reject
from inspection.what_if import Chosen, redecide, score_histogram, what_if
from tests.databases import archive_in

PACKAGE, OTHER = "a" * 64, "b" * 64
NUMBERS = itertools.count()
# What a reviewer says, as `add_review` takes it, and what the unit then counts as.
_REVIEWS: dict[str, tuple[Any, ...]] = {
    "good": ((), "rita"), "crack": (("crack",), "rita"),
    "not named": ((), "rita", "", Decision.CONFIRM_REJECT), "cannot tell": ((), "rita", "", Decision.CANNOT_TELL),
}  # fmt: skip
_COUNTS_AS = {"good": "good", "crack": "defective", "not named": "defective"}
ACTIONS = {"crack": "reject", "stain": "review"}
# Few values, so that scores lie on limits as well.
values = st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
limits_of = st.tuples(values, values).map(lambda two: Limits(review_limit=min(two), reject_limit=max(two)))
probabilities = st.sampled_from([0.1, 0.5, 0.9])


def found(probability: dict[str, float]) -> list[ClassFound]:
    return [ClassFound(name, "major", value, 0.5, ACTIONS[name]) for name, value in probability.items()]


@st.composite
def units(draw: st.DrawFn) -> dict[str, Any]:
    """A unit of one to three frames, of a memory, a classifier, or a memory with a classifier beside."""
    kind = draw(st.sampled_from(["memory", "classifier", "both"]))
    frames = draw(st.integers(1, 3))
    classes = st.fixed_dictionaries({"crack": probabilities, "stain": probabilities})
    return {
        "kind": kind,
        "scores": [draw(values) for _ in range(frames)],
        "classes": [draw(classes) for _ in range(frames)] if kind != "memory" else [],
        "beside": [draw(values) for _ in range(frames)] if kind == "both" else [],
        "limits": draw(limits_of),
        "beside_limits": draw(limits_of),
        "fault": draw(st.sampled_from([None, None, None, Reason.LATE, Reason.QUEUE_FULL])),
        "batch": draw(st.sampled_from(["B-1", "B-2"])),
        "package": draw(st.sampled_from([PACKAGE, PACKAGE, OTHER])),
        "review": draw(st.sampled_from([None, *_REVIEWS])),
        "corrected": draw(st.integers(0, 9)) == 0,
    }


def verdict(unit: dict[str, Any], limits: Limits) -> Any:
    """As the station decides: every frame's findings, by `verdict.decide`."""
    parts = []
    for index, score in enumerate(unit["scores"]):
        classes = found(unit["classes"][index]) if unit["classes"] else []
        own = decide(score, limits, classes if unit["kind"] == "classifier" else [])
        beside = [decide(unit["beside"][index], unit["beside_limits"], classes)] if unit["kind"] == "both" else []
        parts.append(combine([own, *beside]))
    return combine(parts)


def named(classes: Sequence[dict[str, float]]) -> dict[str, Any]:
    highest = {name: max(frame[name] for frame in classes) for name in ACTIONS}
    return {"classes": highest, "severity": dict.fromkeys(ACTIONS, "major"),
            "sure": [name for name, value in highest.items() if value >= 0.5]}  # fmt: skip


def draft(unit: dict[str, Any], number: int) -> Draft:
    """Its record, as `unit_record.unit_draft` makes it."""
    said = verdict(unit, unit["limits"]) if unit["fault"] is None else reject(unit["fault"])
    details: dict[str, Any] = named(unit["classes"]) if unit["kind"] == "classifier" else {"runtime": "onnxruntime"}
    if unit["kind"] == "both":
        part = {"package": OTHER, "score": max(unit["beside"])} | unit["beside_limits"].model_dump()
        details["classifier"] = part | named(unit["classes"])
    return Draft("unit", unit=f"u-{number}", batch=unit["batch"], package=unit["package"], outcome=said.outcome,
                 reason=said.reason, score=max(unit["scores"]), details=details,
                 **unit["limits"].model_dump())  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with Archive(tmp_path_factory.mktemp("what-if") / "archive") as opened:
        yield opened


@given(st.lists(units(), max_size=25), limits_of, st.sampled_from(["B-1", None]))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_counts_are_those_of_deciding_every_record_again(
    archive: Archive, drawn: list[dict[str, Any]], limits: Limits, batch: str | None
) -> None:
    wanted: dict[str, Counter[tuple[str, str]]] = {"all": Counter(), "good": Counter(), "defective": Counter()}
    faults = asked = 0
    package = hashlib.sha256(str(next(NUMBERS)).encode()).hexdigest()
    drafts = [draft(unit, number) for number, unit in enumerate(drawn)]
    drafts = [replace(one, package=package) if one.package == PACKAGE else one for one in drafts]
    written = archive.append_all(drafts, "station-1")
    for unit, entry in zip(drawn, written, strict=True):
        if unit["review"] is not None:
            add_review(archive, entry.name, *_REVIEWS[unit["review"]])
        corrected = unit["corrected"] and entry.outcome == "PASS"
        if corrected:
            details = {"corrects": entry.name, "outcome": "REJECT"}
            archive.append(Draft("event", unit=entry.unit, batch=entry.batch, reason="not_delivered",
                                 details=details), "station-1")  # fmt: skip
        if unit["package"] != PACKAGE or (batch and unit["batch"] != batch):
            continue
        asked += 1
        if unit["fault"] or corrected:
            faults += 1
            continue
        change = (str(entry.outcome), str(verdict(unit, limits).outcome))
        told = redecide(vars(entry), limits)
        if told is not None:  # a record does not always tell which of two sure classes asked for a person
            assert told.outcome == change[1]
            wanted["all"][change] += 1
            if unit["review"] in _COUNTS_AS:
                wanted[_COUNTS_AS[unit["review"]]][change] += 1
    result = what_if(archive, Chosen(package, batch), limits, examples=1000)
    histogram = score_histogram(archive, Chosen(package, batch))

    assert +result.changes == wanted["all"]
    assert (+result.good, +result.defective) == (wanted["good"], wanted["defective"])
    assert result.faults == faults
    assert result.judged + result.faults + result.untold == asked
    assert len(result.examples) == sum(n for (old, new), n in wanted["all"].items() if old != new)
    assert all(one.old != one.new for one in result.examples)
    shown = [unit for unit in drawn if unit["package"] == PACKAGE and (not batch or unit["batch"] == batch)]
    assert sum(map(sum, histogram["counts"].values())) == sum(not unit["fault"] for unit in shown)


@given(units(), limits_of)
def test_a_memory_s_record_always_tells(unit: dict[str, Any], limits: Limits) -> None:
    unit = unit | {"kind": "memory", "classes": [], "beside": [], "fault": None}
    told = redecide(vars(draft(unit, 0)), limits)
    assert told == verdict(unit, limits)


def test_a_record_tells_what_a_sure_class_did_where_it_decided() -> None:
    for sure, outcome in (("crack", Outcome.REJECT), ("stain", Outcome.REVIEW)):
        classes = {name: 0.9 if name == sure else 0.1 for name in ACTIONS}
        unit = {"kind": "both", "scores": [0.5], "classes": [classes], "beside": [0.2], "fault": None, "batch": "B",
                "limits": Limits(review_limit=1, reject_limit=2), "package": PACKAGE,
                "beside_limits": Limits(review_limit=1, reject_limit=2)}  # fmt: skip
        row = vars(draft(unit, 0))
        assert row["outcome"] == outcome
        told = redecide(row, Limits(review_limit=0.1, reject_limit=0.9))
        assert told
        assert told.outcome == outcome


def test_all_is_zero_in_an_empty_archive(tmp_path: Path) -> None:
    with Archive(tmp_path / "archive") as archive:
        result = what_if(archive, Chosen(PACKAGE, since="2026-01-01"), Limits(review_limit=1, reject_limit=2))
        assert (result.judged, result.faults, result.examples) == (0, 0, [])
        assert score_histogram(archive, Chosen(PACKAGE))["units"] == 0


@pytest.fixture(params=["sqlite", "postgresql"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    server = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    return archive_in(tmp_path / "archive", server.new_database() if server else None)


def test_limits_between_which_nothing_lies_change_nothing(folder: Path) -> None:
    limits = Limits(review_limit=1, reject_limit=2)
    scores = [0.2, 0.9, 1.5, 1.9, 2.0, 7.0]
    with Archive(folder) as archive:
        for number, score in enumerate(scores):
            said = decide(score, limits)
            archive.append(Draft("unit", unit=f"u-{number}", package=PACKAGE, outcome=said.outcome,
                                 reason=said.reason, score=score, **limits.model_dump()), "s")  # fmt: skip
        for review, reject_limit in itertools.product((0.95, 1.0, 1.5), (1.95, 2.0)):
            result = what_if(archive, Chosen(PACKAGE), Limits(review_limit=review, reject_limit=reject_limit))
            assert result.as_json()["changed"] == 0
        result = what_if(archive, Chosen(PACKAGE), Limits(review_limit=1.51, reject_limit=8))
        assert result.changes == {("PASS", "PASS"): 2, ("REVIEW", "PASS"): 1, ("REVIEW", "REVIEW"): 1,
                                  ("REJECT", "REVIEW"): 2}  # fmt: skip
        assert [one.score for one in result.examples] == [7.0, 2.0, 1.5]
        counts = score_histogram(archive, Chosen(PACKAGE, since="2026-01-01"))["counts"]
        assert {outcome: sum(of) for outcome, of in counts.items()} == {"PASS": 2, "REVIEW": 2, "REJECT": 2}
