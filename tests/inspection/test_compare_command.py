"""`inspection compare`: from tables of results to an answer on a screen, in JSON, on a page and on paper."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from inspection.commands.compare import compare
from inspection.equivalence.page import render_page, render_part
from inspection.equivalence.pairs import PairsInvalid
from inspection.equivalence.paper import render_pdf
from inspection.equivalence.results_table import decisions, pair, read_results, read_truth
from inspection.errors import BadUsage, InspectionError
from tests.inspection.paired_units import Row, known

REASON = {"PASS": "within_limits", "REVIEW": "above_review_limit", "REJECT": "above_reject_limit"}
ENOUGH = known(400, 200)


def table(path: Path, rows: Sequence[Row], package: str = "capsule 2.0.0", **columns: Any) -> Path:
    """A `result.parquet` as `inspection reinspect` writes it."""
    size, digest = len(rows), (package.encode().hex() * 64)[:64]
    usual: dict[str, Any] = {
        "record": [f"line-1/{at}" for at in range(size)], "unit": [f"unit {at}" for at in range(size)],
        "batch": ["B1"] * size, "product": ["capsule"] * size, "cameras": [["top"]] * size,
        "record_hash": [f"{at:064x}" for at in range(size)], "old_package": ["d" * 64] * size,
        "old_outcome": [old for old, _, _ in rows], "old_reason": [REASON[old] for old, _, _ in rows],
        "old_score": [1.0 + at / size for at in range(size)], "old_review_limit": [2.0] * size,
        "old_reject_limit": [3.0] * size, "package": [digest] * size, "package_name": [package] * size,
        "new_outcome": [new for _, new, _ in rows], "new_reason": [REASON[new] for _, new, _ in rows],
        "new_score": [1.1 + at / size for at in range(size)], "new_review_limit": [2.0] * size,
        "new_reject_limit": [3.0] * size, "truth": pa.array([truth for _, _, truth in rows], pa.string()),
        "defects": pa.array([["crack"] if truth == "defective" else [] for _, _, truth in rows], pa.list_(pa.string())),
    }  # fmt: skip
    pq.write_table(pa.table(usual | columns), path)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(compare, [str(one) for one in arguments])


def refused(*arguments: object) -> str:
    """The sentence with which the command refuses."""
    result = run(*arguments)
    assert isinstance(result.exception, InspectionError), result.output
    return str(result.exception)


def test_one_table_is_the_record_against_the_package(tmp_path: Path) -> None:
    out = tmp_path / "made" / "answer.json"
    result = run(table(tmp_path / "r.parquet", ENOUGH), "--json", out)
    assert result.exit_code == 0 and result.output.startswith("equivalent: "), result.output
    answer = json.loads(out.read_text())
    assert answer["verdict"]["word"] == "equivalent" and answer["figures"]["units"] == 600
    assert answer["about"]["new"]["packages"] == {"capsule 2.0.0": 600}
    assert answer["about"]["old"]["limits"] == {"review_limit": 2.0, "reject_limit": 3.0}
    assert re.fullmatch("[0-9a-f]{64}", answer["about"]["files"][0]["sha256"])


def test_two_tables_are_package_against_package_in_whatever_order_their_rows_are(tmp_path: Path) -> None:
    old = table(tmp_path / "old.parquet", ENOUGH, "capsule 1.0.0")
    worse = pq.read_table(table(tmp_path / "new.parquet", known(400, 200, lost=30)))
    pq.write_table(worse.take(list(range(599, -1, -1))), tmp_path / "new.parquet")
    result = run(old, tmp_path / "new.parquet")
    assert result.output.startswith("not equivalent: 30 of 400 defective units")
    assert result.output.count("(crack), was REJECT") == 30


def test_the_margins_are_those_that_were_given(tmp_path: Path) -> None:
    few = table(tmp_path / "r.parquet", known(70, 40))
    assert run(few).output.startswith("not shown: ")
    assert run(few, "--margin-detection", "0.06", "--margin-false-reject", "0.1").output.startswith("equivalent: ")
    assert "between 0 and 1" in refused(few, "--margin-detection", "5")


def test_json_on_standard_output_is_json_alone(tmp_path: Path) -> None:
    result = run(table(tmp_path / "r.parquet", ENOUGH), "--json", "-")
    assert json.loads(result.stdout)["format"] == "inspection-equivalence/1"


def test_units_of_one_table_alone_and_faults_of_the_line_are_left_out_and_counted(tmp_path: Path) -> None:
    old = table(tmp_path / "old.parquet", ENOUGH)
    reasons = ["queue_full" if at < 5 else "above_reject_limit" for at in range(600)]
    rows = [("REJECT", "PASS", "defective")] * 3 + [("REJECT", "REJECT", "good")] * 2 + ENOUGH[5:]
    faults = table(tmp_path / "faults.parquet", rows, old_reason=reasons)
    lines = run(faults).output
    assert "left out: 5 units" in lines.splitlines()[0]
    assert "5 units rejected by the line for a fault of its own" in lines and "3 units of these" in lines
    more = table(tmp_path / "more.parquet", [*ENOUGH, ("PASS", "PASS", None)])
    assert "1 unit decided by the new package alone" in run(old, more).output
    assert "1 unit decided by the old package alone" in run(more, old).output
    undecided = table(tmp_path / "u.parquet", ENOUGH, old_outcome=pa.array([None, *["PASS"] * 599], pa.string()))
    assert "1 unit without a decision" in run(undecided).output
    folder = table(tmp_path / "f.parquet", ENOUGH, old_outcome=pa.array([None] * 600, pa.string()))
    assert "600 units without a decision on one side" in refused(folder)


def test_an_image_that_the_new_package_cannot_inspect_is_a_reject(tmp_path: Path) -> None:
    rows = [*known(400, 190), *[("PASS", "REJECT", "good")] * 10]
    reasons = [*["within_limits"] * 590, *["frame_wrong_geometry"] * 10]
    paired = pair(*[decisions(read_results(table(tmp_path / "r.parquet", rows, new_reason=reasons)), side)
                    for side in ("old", "new")])  # fmt: skip
    assert len(paired.pairs) == 600 and paired.left_out == {}


def test_the_truth_of_a_file_counts_where_no_reviewer_decided(tmp_path: Path) -> None:
    unknown = [(old, new, None) for old, new, _ in ENOUGH]
    results = table(tmp_path / "r.parquet", [*unknown[:-1], ("PASS", "PASS", "good")])
    lines = ["record,truth,defects", *(f"line-1/{at},defective,crack; chip" for at in range(400)),
             *(f"line-1/{at},good," for at in range(400, 598)), "line-1/599,defective,chip", "line-9/1,good,",
             "line-1/598,,"]  # fmt: skip
    (tmp_path / "truth.csv").write_text("\n".join(lines))
    out = tmp_path / "a.json"
    result = run(results, "--truth", tmp_path / "truth.csv", "--json", out)
    assert result.output.startswith("equivalent: ")
    answer = json.loads(out.read_text())
    assert (answer["figures"]["defective"], answer["figures"]["good"], answer["figures"]["unknown"]) == (400, 199, 1)
    assert [group["name"] for group in answer["defects"]] == ["chip", "crack"]
    assert answer["left_out"] == {"truth_unused": 1}
    assert answer["about"]["truth_overruled_by_reviewers"] == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("record,truth\nline-1/1,perhaps\n", "row 1"),
        ("record,truth,defects\nline-1/1,good,crack\n", "row 1"),
        ("record,truth\nline-1/1,good\nline-1/1,defective\n", "another thing"),
        ("truth\ngood\n", "names no record"),
        ("", "cannot be read"),
    ],
)
def test_a_truth_that_cannot_be_taken_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "truth.csv").write_text(text)
    with pytest.raises(PairsInvalid, match=words):
        read_truth(tmp_path / "truth.csv")


def test_a_unit_s_name_that_several_batches_have_does_not_tell_whose_truth_it_is(tmp_path: Path) -> None:
    results = table(tmp_path / "r.parquet", known(1, 1), unit=["7", "7"], batch=["A", "B"])
    (tmp_path / "truth.csv").write_text("unit,truth\n7,good\n")
    assert "without a batch" in refused(results, "--truth", tmp_path / "truth.csv")
    (tmp_path / "truth.csv").write_text("unit,batch,truth\n7,B,good\n")
    assert run(results, "--truth", tmp_path / "truth.csv").exit_code == 0


def test_tables_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    old = table(tmp_path / "old.parquet", ENOUGH)
    other = table(tmp_path / "other.parquet", ENOUGH, record_hash=["0" * 64] * 600)
    assert "of one archive" in refused(old, other)
    turned = table(tmp_path / "turned.parquet", [(a, b, "good") for a, b, _ in ENOUGH])
    assert "contradict each other" in refused(old, turned)
    assert "one or two" in refused(old, old, old)


def test_of_several_packages_one_must_be_chosen(tmp_path: Path) -> None:
    parts = [pq.read_table(table(tmp_path / f"{name}.parquet", rows, f"capsule {name} (0123456789ab)"))
             for name, rows in (("2.0.0", ENOUGH), ("3.0.0", known(400, 200, lost=50)))]  # fmt: skip
    both = tmp_path / "both.parquet"
    pq.write_table(pa.concat_tables(parts), both)
    assert "choose one of capsule 2.0.0 (0123456789ab), capsule 3.0.0" in refused(both)
    assert "names 0 packages" in refused(both, "--new-package", "capsule 9")
    assert run(both, "--new-package", "capsule 2.0.0").output.startswith("equivalent: ")
    of_both = run(both, "--old-package", "capsule 2.0.0", "--new-package", "capsule 3.0.0")
    assert of_both.output.startswith("not equivalent: 50 of 400")


def test_what_is_no_table_of_results_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("text")
    report = tmp_path / "report.html"
    assert "cannot be read" in refused(tmp_path / "text.parquet", "--report", report)
    assert "cannot be read" in refused(tmp_path / "none.parquet", "--report", report)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    assert "no columns unit" in refused(tmp_path / "other.parquet", "--report", report)
    twice = table(tmp_path / "twice.parquet", ENOUGH, record=["line-1/0"] * 600)
    assert "twice" in refused(twice, "--report", report)
    assert not report.exists()
    assert issubclass(BadUsage, InspectionError)


def test_a_page_and_a_paper_say_the_same_and_are_the_same_again(tmp_path: Path) -> None:
    rows = known(400, 200, lost=30, false=3)
    marked = [["<b>&$crack_{"] if truth == "defective" else [] for _, _, truth in rows]
    results = table(tmp_path / "r.parquet", rows, defects=pa.array(marked, pa.list_(pa.string())))
    for name in ("1", "2"):
        files = [tmp_path / f"{name}.{kind}" for kind in ("json", "html", "pdf")]
        assert run(results, "--json", files[0], "--report", files[1], "--pdf", files[2]).exit_code == 0
    for kind in ("json", "html", "pdf"):
        assert (tmp_path / f"1.{kind}").read_bytes() == (tmp_path / f"2.{kind}").read_bytes(), kind
    page = (tmp_path / "1.html").read_text()
    assert '<span class="word bad">not equivalent</span>' in page
    assert "&lt;b&gt;&amp;$crack_{" in page and "<b>" not in page
    assert page.count('alt="') == 2 and "http" not in page.replace("http-equiv", "")
    assert (tmp_path / "1.pdf").read_bytes().startswith(b"%PDF")
    answer = json.loads((tmp_path / "1.json").read_text())
    assert render_page(answer) == (tmp_path / "1.html").read_bytes()
    part = render_part(answer)
    assert part.lstrip().startswith("<h2>") and "<style" not in part and "style=" not in part and "<img" not in part


def test_without_truth_or_scores_there_is_still_a_page_and_a_paper(tmp_path: Path) -> None:
    rows = [("PASS", "PASS", None)] * 5
    results = table(tmp_path / "r.parquet", rows, new_score=pa.array([None] * 5, pa.float64()))
    files = [tmp_path / "a.html", tmp_path / "a.pdf"]
    assert run(results, "--report", files[0], "--pdf", files[1]).exit_code == 0
    assert ">not shown</span>" in files[0].read_text() and "<img" not in files[0].read_text()


def test_pages_of_another_json_are_refused() -> None:
    for render in (render_page, render_part, lambda value: render_pdf(value, "me")):
        with pytest.raises(PairsInvalid):
            render({"format": "another"})
