"""The comparison of two packages: what it says, and when it says so."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from inspection.equivalence.comparison import FORMAT, check_plain, compare
from inspection.equivalence.figures import Margins
from inspection.equivalence.pairs import OUTCOMES, PairsInvalid, pairs_of
from inspection.errors import BadUsage
from tests.inspection.paired_units import Row, known, paired

outcomes = st.sampled_from(OUTCOMES)
rows = st.lists(st.tuples(outcomes, outcomes, st.sampled_from(["good", "defective", None])), min_size=1, max_size=80)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"new_outcome": ["PASS"]}, "equally long"),
        ({"old_outcome": ["PASS", "FAIL"]}, "old_outcome must be one of PASS, REVIEW, REJECT, got 'FAIL'"),
        ({"old_outcome": ["PASS", None]}, "old_outcome must be"),
        ({"truth": ["good", "maybe"]}, "truth must be one of good, defective, got 'maybe'"),
        ({"old_score": [1.0, float("inf")]}, "must be finite"),
        ({"old_score": [1.0, "high"]}, "must be numbers"),
        ({"defects": [("crack",), ()]}, "cannot be both"),
        ({"record": ["a/1", "a/1"]}, "twice"),
        ({"record": [None, None], "unit": ["1", "1"]}, "twice"),
    ],
)
def test_what_is_no_pair_of_decisions_is_refused_in_one_sentence(columns: dict[str, Any], words: str) -> None:
    with pytest.raises(PairsInvalid, match=words):
        paired([("PASS", "PASS", "good")] * 2, **columns)


def test_nothing_at_all_cannot_be_compared() -> None:
    with pytest.raises(PairsInvalid, match="no unit"):
        compare(paired([]))


@pytest.mark.parametrize("values", [{"detection": 0.0}, {"false_reject": 1.0}, {"confidence": 95.0}, {"power": -1.0}])
def test_a_margin_or_confidence_outside_its_range_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(BadUsage, match="between 0 and 1"):
        Margins(**values)


def test_the_same_unit_name_in_two_batches_is_two_units() -> None:
    units = paired([("PASS", "PASS", "good")] * 2, record=[None, None], unit=["1", "1"], batch=["A", "B"])
    assert compare(units).figures.units == 2


def test_identical_decisions_are_equivalent_with_enough_units_and_not_with_one_less() -> None:
    enough = compare(paired(known(381, 189)))
    assert enough.verdict.word == "equivalent"
    for defective, good in ((380, 189), (381, 188)):
        fewer = compare(paired(known(defective, good))).verdict
        assert fewer.word == "not shown"
        assert "alike" in fewer.sentence
        assert "at least 381" in fewer.sentence if defective < 381 else "at least 189" in fewer.sentence


def test_identical_decisions_without_enough_truth_still_state_the_agreement_exactly() -> None:
    answer = compare(paired([*known(20, 20), *[("REJECT", "REJECT", None)] * 500, *[("PASS", "PASS", None)] * 500]))
    assert answer.verdict.word == "not shown"
    assert answer.verdict.agreement == "agrees"
    assert answer.verdict.agreement_sentence == "agrees: both decide all 1,040 units alike."
    assert answer.figures.agreement.kappa == 1


def test_one_kind_of_units_alone_is_not_enough() -> None:
    only_defective = compare(paired(known(2000, 0))).verdict
    assert only_defective.word == "not shown" and "no unit is known to be good" in only_defective.sentence
    only_good = compare(paired(known(0, 2000))).verdict
    assert only_good.word == "not shown" and "no unit is known to be defective" in only_good.sentence


def test_more_lost_defective_units_than_the_margin_allows_are_not_equivalent_whatever_is_gained() -> None:
    gained = [("PASS", "REJECT", "defective")] * 100
    answer = compare(paired([*known(1000, 1000, lost=12), *gained])).verdict
    assert answer.word == "not equivalent" and "12 of 1100 defective units" in answer.sentence
    assert compare(paired([*known(1000, 1000, lost=11), *gained])).verdict.word == "equivalent"


def test_a_few_lost_ones_within_the_margin_among_too_few_are_not_shown_and_more_are_asked_for() -> None:
    verdict = compare(paired(known(400, 400, lost=2))).verdict
    assert verdict.word == "not shown"
    assert verdict.defective.for_power is not None and verdict.defective.for_power > 400


def test_false_rejects_beyond_the_margin_are_not_equivalent() -> None:
    verdict = compare(paired(known(1000, 1000, false=60))).verdict
    assert verdict.word == "not equivalent" and "false rejects rise" in verdict.sentence


def test_a_defect_class_that_is_lost_is_not_hidden_among_the_others() -> None:
    units = paired(known(1000, 400, lost=6), defects=[("glass",)] * 6 + [("crack",)] * 994 + [()] * 400)
    verdict = compare(units).verdict
    assert verdict.word == "not equivalent"
    assert "for defect glass" in verdict.sentence and "crack" not in verdict.sentence


def test_what_nobody_looked_at_counts_against_the_new_package() -> None:
    settled = known(1000, 1000)
    passing = compare(paired([*settled, *[("REJECT", "PASS", None)] * 30])).verdict
    assert passing.word == "not shown" and "30 units would newly pass" in passing.sentence
    stopped = compare(paired([*settled, *[("PASS", "REJECT", None)] * 60])).verdict
    assert stopped.word == "not shown" and "60 units would newly be stopped" in stopped.sentence
    few = compare(paired([*settled, *[("PASS", "REJECT", None)] * 5])).verdict
    assert few.word == "equivalent" and "also with 5 units that nobody reviewed" in few.sentence
    assert few.good.have == 1000


def test_truth_known_of_stopped_units_alone_cannot_hide_new_false_rejects() -> None:
    """Reviewers look at what the old package stopped: of those every good one can only get better."""
    seen = [*known(500, 0), *[("REJECT", "PASS", "good")] * 300]
    unseen = [*[("PASS", "REJECT", None)] * 2000, *[("PASS", "PASS", None)] * 8000]
    verdict = compare(paired([*seen, *unseen])).verdict
    assert verdict.word == "not shown" and "have them reviewed" in verdict.sentence


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([("REJECT", "REJECT", None)] * 368 + [("PASS", "PASS", None)] * 200, "agrees"),
        ([("REJECT", "REJECT", None)] * 367 + [("PASS", "PASS", None)] * 200, "not shown"),
        ([("REJECT", "REJECT", None)] * 9 + [("PASS", "REVIEW", None)] * 40 + [("PASS", "PASS", None)] * 40, "differs"),
        ([("REJECT", "PASS", None)] * 20 + [("PASS", "PASS", None)] * 400, "differs"),
        ([("PASS", "PASS", None)] * 5000, "not shown"),
    ],
)  # fmt: skip
def test_without_truth_only_agreement_is_stated(rows: list[Row], word: str) -> None:
    verdict = compare(paired(rows)).verdict
    assert (verdict.word, verdict.agreement) == (word, word)
    assert verdict.sentence.startswith(f"{word}: ")
    assert "equivalent" not in verdict.sentence


@given(rows)
@settings(deadline=None, max_examples=60)
def test_the_counts_are_those_of_the_units(units: list[Row]) -> None:
    answer = compare(paired(units))
    figures, old, new = answer.figures, [row[0] for row in units], [row[1] for row in units]
    assert [list(row) for row in figures.agreement.table] == confusion_matrix(old, new, labels=OUTCOMES).tolist()
    if figures.agreement.kappa is not None:
        assert figures.agreement.kappa == pytest.approx(cohen_kappa_score(old, new, labels=OUTCOMES))
    ways = Counter((before, after) for before, after in zip(old, new, strict=True) if before != after)
    assert {(way.old, way.new): way.count for way in answer.changes.directions if way.count} == dict(ways)
    assert figures.changed == ways.total()
    escapes = [row for row in units if row[0] != "PASS" and row[1] == "PASS" and row[2] == "defective"]
    assert len(answer.changes.escapes) == len(escapes) == figures.detection.counts.lost
    assert figures.detection.counts.units == figures.defective and figures.false_reject.counts.units == figures.good
    assert figures.units == figures.defective + figures.good + figures.unknown == len(units)


@given(rows)
@settings(deadline=None, max_examples=60)
def test_a_package_that_loses_one_more_defective_unit_is_never_called_better(units: list[Row]) -> None:
    better = paired([*known(400, 400), *units])
    worse = paired([*known(400, 400, lost=1), *units])
    rank = {"not equivalent": 0, "not shown": 1, "equivalent": 2}
    wide = Margins(detection=0.03, false_reject=0.2)
    assert rank[compare(worse, wide).verdict.word] <= rank[compare(better, wide).verdict.word]


@given(rows)
@settings(deadline=None, max_examples=60)
def test_equivalent_is_said_only_where_the_rule_allows_it(units: list[Row]) -> None:
    margins = Margins(detection=0.3, false_reject=0.3)
    answer = compare(paired(units), margins)
    figures, verdict = answer.figures, answer.verdict
    if verdict.word == "equivalent":
        assert figures.detection.low > -0.3 and figures.false_reject.high < 0.3
        assert figures.detection.counts.lost <= 0.3 * figures.defective
        assert figures.defective and figures.good
    assert verdict.sentence.startswith(verdict.word + ": ") and verdict.sentence.count(". ") == 0
    assert (verdict.word in ("equivalent", "not equivalent")) <= bool(figures.with_truth)


@given(rows)
@settings(deadline=None, max_examples=40)
def test_the_answer_is_plain_json_and_always_the_same(units: list[Row]) -> None:
    answer = compare(paired(units, old_score=[None] * len(units)), about={"old": {"source": "a"}}).plain()
    text = json.dumps(answer, allow_nan=False)
    assert json.loads(text) == answer and check_plain(json.loads(text))["format"] == FORMAT
    assert (
        json.dumps(compare(paired(units, old_score=[None] * len(units)), about={"old": {"source": "a"}}).plain())
        == text
    )


def test_escapes_are_all_named_and_the_other_lists_are_bounded() -> None:
    lost = [("REVIEW", "PASS", "defective")] * 150 + [("REJECT", "PASS", "defective")] * 150
    answer = compare(paired([*lost, *[("PASS", "REJECT", "good")] * 300]))
    assert len(answer.changes.escapes) == 300
    assert [one["old"] for one in answer.changes.escapes] == ["REJECT"] * 150 + ["REVIEW"] * 150
    assert answer.changes.escapes[0]["old_score"] == 299  # the highest first
    for way in answer.changes.directions:
        assert len(way.units) + way.unnamed == way.count and len(way.units) <= 100


def test_in_a_direction_the_worst_come_first() -> None:
    units = paired([("REJECT", "PASS", "good"), ("REJECT", "PASS", None), ("REJECT", "PASS", "defective"),
                    ("REJECT", "PASS", "defective")], old_score=[9, 8, 1, None])  # fmt: skip
    passing = compare(units).changes.directions[0].units
    assert [one["unit"] for one in passing] == ["unit 3", "unit 2", "unit 1", "unit 0"]


def test_units_count_in_each_of_their_defects_cameras_and_batches() -> None:
    units = paired(
        [("REJECT", "PASS", "defective"), ("REJECT", "REJECT", "defective"), ("PASS", "PASS", "good")],
        defects=[("chip", "crack"), ("crack",), ()], cameras=[("top", "side"), ("top",), ()], batch=["A", "A", None],
    )  # fmt: skip
    answer = compare(units)
    assert {group.name: group.figures.detection.counts.units for group in answer.defects} == {"chip": 1, "crack": 2}
    assert {group.name: group.figures.units for group in answer.cameras} == {"side": 1, "top": 2}
    assert {group.name: group.figures.changed for group in answer.batches} == {"A": 1}


def test_units_inspected_several_times_are_counted_as_such() -> None:
    assert compare(paired(known(2, 2), unit=["1", "1", "1", "2"])).repeated == 2


def test_another_json_is_refused() -> None:
    for other in (None, [], {}, {"format": "inspection-equivalence/2"}):
        with pytest.raises(PairsInvalid, match="inspection-equivalence/1"):
            check_plain(other)


def test_a_table_needs_units_and_outcomes_and_nothing_else() -> None:
    import pyarrow as pa

    table = pa.table(
        {"unit": ["1", "2"], "old_outcome": ["PASS", "PASS"], "new_outcome": ["PASS", "REJECT"], "x": [1, 2]}
    )
    assert compare(pairs_of(table)).figures.changed == 1
    with pytest.raises(PairsInvalid, match="lacks the column 'unit'"):
        pairs_of(table.drop_columns(["unit"]))
