"""What the retention rule removes is on record, signed; what anybody else removes is found."""

import sqlite3
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from inspection.accounts.sign_in import SignIn
from inspection.accounts.users import find_user
from inspection.archive import Archive
from inspection.audit import AuditQuery, find_audit
from inspection.batch_export import export_batch, verify_export
from inspection.config import ConfigInvalid
from inspection.heads_file import signed_heads
from inspection.image_store import ImageMissing
from inspection.records import AUDIT, GENESIS, Draft, FrameRecord, to_row, utc_text
from inspection.retention import Rule, apply_removals, plan_removals, read_rules
from inspection.retention_marks import REMOVED, removal_digest
from inspection.signatures import SignatureRefused, Signer, sign_record, signed_statement
from inspection.signing import SigningKey, sign_heads, signing_key
from inspection.verify import Trust, verify_archive
from tests.people import PASSWORD, people

NOW = datetime(2026, 11, 24, tzinfo=UTC)
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An archive of 40 units, one every ten days until now, a third of them rejected, with image and heatmap each."""
    people(tmp_path / "archive", quinn="quality", ada="reviewer")
    with Archive(tmp_path / "archive") as archive:
        rows, previous = [], GENESIS
        for number in range(1, 41):
            image = archive.images.put(f"image {number}".encode(), ".png")
            heatmap = archive.images.put(f"heatmap {number}".encode(), ".npy")
            at = utc_text(NOW - timedelta(days=10 * (40 - number)))
            outcome = "REJECT" if number % 3 == 0 else "PASS"
            draft = Draft(
                "unit", f"u{number}", "B", outcome=outcome, frames=(FrameRecord("c", number, at, image, heatmap),)
            )
            rows.append(to_row(draft, "s", number, previous, at))
            previous = rows[-1]["hash"]
        archive.take(rows)
        sign_heads(archive, signing_key(archive))
    return tmp_path / "archive"


def remove(folder: Path, *rules: Rule, name: str = "quinn") -> None:
    with Archive(folder) as archive:
        signer = Signer(SignIn(archive), name, PASSWORD)
        apply_removals(archive, signing_key(archive), plan_removals(archive, rules, NOW), signer, "SOP-17")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: []", "at least 1"),
        ("rules: [{kind: image, after_days: 9}]", "has an `outcome`"),
        ("rules: [{kind: record, outcome: PASS, after_days: 9}]", "has none"),
        ("rules: [{kind: image, outcome: PASS, after_days: 0}]", "greater than"),
        ("rules: [{kind: picture, outcome: PASS, after_days: 9}]", "kind"),
        ("rules: [{kind: record, after_days: 9}, {kind: record, after_days: 8}]", "more than one rule"),
    ],
)
def test_rules_that_make_no_sense_are_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(text)
    with pytest.raises(ConfigInvalid, match=said):
        read_rules(tmp_path / "rules.yaml")


def test_who_may_not_removes_nothing(folder: Path) -> None:
    with pytest.raises(SignatureRefused, match="permits to retain"):
        remove(folder, Rule(kind="image", outcome="PASS", after_days=90), name="ada")
    assert verify_archive(folder).files == 80 and verify_archive(folder).intact


def test_images_of_passes_go_and_everything_else_stays(folder: Path) -> None:
    remove(folder, Rule(kind="image", outcome="PASS", after_days=90))

    assert verify_archive(folder).problems == []
    with Archive(folder, read_only=True) as archive:
        left = set(archive.images.names())
        for row in archive.rows("s"):
            entry = archive.get("s", row["sequence"])
            assert entry is not None
            if entry.kind == "event":
                continue
            old = entry.outcome == "PASS" and entry.recorded_at < utc_text(NOW - timedelta(days=90))
            assert (entry.frames[0].image in left) is not old
            assert entry.frames[0].heatmap in left


def test_what_the_rule_did_not_remove_is_still_missed(folder: Path) -> None:
    remove(folder, Rule(kind="image", outcome="PASS", after_days=90))
    with Archive(folder) as archive:
        for number in (40, 3):  # a recent pass, and an old reject
            entry = archive.get("s", number)
            assert entry is not None
            archive.images.delete(str(entry.frames[0].image))
    assert [problem.partition(":")[0] for problem in verify_archive(folder).problems] == ["record s/3", "record s/40"]


def test_a_file_that_another_record_needs_stays(folder: Path) -> None:
    with Archive(folder) as archive:
        first = archive.get("s", 1)
        assert first is not None
        archive.append(Draft("unit", "again", outcome="REJECT", frames=first.frames), "s")
    remove(folder, Rule(kind="image", outcome="PASS", after_days=90))
    with Archive(folder, read_only=True) as archive:
        assert first.frames[0].image in set(archive.images.names())


def test_what_came_on_record_since_the_removal_was_planned_keeps_its_files(folder: Path) -> None:
    with Archive(folder) as archive:
        planned = plan_removals(archive, (Rule(kind="image", outcome="PASS", after_days=90),), NOW)
        first = archive.get("s", 1)
        assert first is not None
        archive.append(Draft("unit", "again", outcome="REJECT", frames=first.frames), "s")
        apply_removals(archive, signing_key(archive), planned, Signer(SignIn(archive), "quinn", PASSWORD), "SOP-17")
        assert first.frames[0].image in set(archive.images.names())
    assert verify_archive(folder).problems == []


def test_what_is_gone_is_not_removed_again(folder: Path) -> None:
    rule = Rule(kind="image", outcome="PASS", after_days=90)
    remove(folder, rule)
    with Archive(folder) as archive:
        assert [len(one.names) for one in plan_removals(archive, (rule,), NOW)] == [0]
        assert [len(one.names) for one in plan_removals(archive, (rule,), NOW + timedelta(days=10))] == [1]


def test_a_batch_is_exported_without_what_the_rule_removed(folder: Path, tmp_path: Path) -> None:
    remove(folder, Rule(kind="image", outcome="PASS", after_days=90))
    with Archive(folder) as archive:
        key, lost = signing_key(archive), archive.get("s", 2)
        assert lost is not None
        manifest = export_batch(archive, "B", tmp_path / "export", key)
        heads = [dict(head) for head in signed_heads(archive)]
        found = verify_export(tmp_path / "export", trust=Trust(frozenset({key.public_key}), heads))
        assert (found.problems, found.files) == ([], manifest["images"])
        assert lost.frames[0].image in manifest["removed"]
        archive.images.delete(str(lost.frames[0].heatmap))
        with pytest.raises(ImageMissing):
            export_batch(archive, "B", tmp_path / "another", key)


def test_old_records_go_from_the_beginning_and_the_chain_still_proves_the_rest(folder: Path) -> None:
    remove(folder, Rule(kind="record", after_days=200))

    found = verify_archive(folder)
    assert found.problems == []
    with Archive(folder) as archive:
        left = [row["sequence"] for row in archive.rows("s")]
        assert left[0] == 20 and left[-1] == 41
        archive.append(Draft("unit", "next", outcome="PASS"), "s")
        assert archive.missing_guards() == []
    assert verify_archive(folder).problems == []
    database = sqlite3.connect(folder / "archive.sqlite")
    guard = database.execute("SELECT sql FROM sqlite_master WHERE name = 'entries_refuse_delete'").fetchone()[0]
    database.execute("DROP TRIGGER entries_refuse_delete")
    database.execute("DELETE FROM entries WHERE station = 's' AND sequence = 20")
    database.execute(guard)
    database.commit()
    database.close()
    assert "record s/20 is missing" in verify_archive(folder).problems


def test_who_signed_a_record_that_was_removed_stays_on_record(folder: Path) -> None:
    with Archive(folder) as archive:
        key, signed = signing_key(archive), archive.get("s", 3)
        assert signed is not None
        sign_record(archive, key, signed, Signer(SignIn(archive), "quinn", PASSWORD), "reviewed", "looked at it")
        heads = [head for head in signed_heads(archive) if head["station"] == "s"]
    remove(folder, Rule(kind="record", after_days=200))
    assert verify_archive(folder).problems == []
    with Archive(folder) as archive:
        archive.append(Draft("unit", "next", outcome="PASS"), "s")
    remove(folder, Rule(kind="record", after_days=1))  # the signed head of the copy is among them
    assert verify_archive(folder, trust=Trust(frozenset({key.public_key}), heads)).problems == []


@pytest.mark.parametrize("how", ["unsigned", "own key", "copied"])
def test_nobody_can_say_of_what_they_took_away_that_the_rule_removed_it(how: str, folder: Path) -> None:
    """Somebody who can write to the database, hashes anew what they like, and has no key of the archive."""
    remove(folder, Rule(kind="heatmap", outcome="PASS", after_days=300))
    with Archive(folder) as archive:
        right = signing_key(archive).public_key
        mark = archive.get("s", 30)
        assert mark is not None
        genuine = next(find_audit(archive, AuditQuery(what=REMOVED)))
        user = find_user(archive, "quinn")
        assert user is not None
        said: dict[str, Any] = {"kind": "record", "before": mark.recorded_at, "after_days": 1, "files": 60,
                                "chains": {"s": [30, mark.hash]}, "records": 30}  # fmt: skip
        own = SigningKey(Ed25519PrivateKey.generate())
        forged = signed_statement(own, user, "retention", removal_digest(said), "removed", "SOP-17")
        made = {"unsigned": {}, "copied": {"statement": genuine.more["statement"]}, "own key": {"statement": forged}}[
            how
        ]
        database = sqlite3.connect(folder / "archive.sqlite")
        database.execute("DROP TRIGGER entries_refuse_delete")
        database.execute("DELETE FROM entries WHERE station = 's' AND sequence <= 30")
        database.commit()
        database.close()
        archive.append(
            Draft("event", reason=REMOVED, details={"by": "quinn", "subject": "retention"} | said | made), AUDIT
        )
        sign_heads(archive, signing_key(archive))  # the service does, whatever the chain holds
    problems = verify_archive(folder, trust=Trust(frozenset({right}))).problems
    assert "record s/1 to 30 is missing" in problems
    assert any("a signature under" in problem for problem in problems)


def test_a_file_that_the_rule_removed_for_one_record_is_missed_for_another(folder: Path) -> None:
    with Archive(folder) as archive:
        first = archive.get("s", 1)
        assert first is not None
        archive.append(Draft("unit", "again", outcome="REJECT", frames=first.frames), "s")
        image = str(first.frames[0].image)
    remove(folder, Rule(kind="image", outcome="PASS", after_days=90))
    with Archive(folder) as archive:
        archive.images.delete(image)
    assert [problem.partition(":")[0] for problem in verify_archive(folder).problems] == ["record s/42"]


def test_by_the_command_line_first_dry(
    folder: Path, inspection: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "rules: [{kind: heatmap, outcome: PASS, after_days: 36000}, {kind: heatmap, outcome: REJECT, after_days: 1}]"
    )
    monkeypatch.setenv("INSPECTION_PASSWORD", PASSWORD)
    asked = ("retention", rules, "--archive", folder, "--as", "quinn", "--why", "SOP-17")
    assert "heatmaps of REJECT units" in inspection(*asked, "--dry-run").stdout
    assert verify_archive(folder).files == 80
    done = inspection(*asked)
    assert done.returncode == 0 and "removed; on record as audit/" in done.stdout, done.stderr
    with Archive(folder, read_only=True) as archive:
        assert sum(name.endswith(".npy") for name in archive.images.names()) < 40
    assert inspection("verify", "--archive", folder).returncode == 0
