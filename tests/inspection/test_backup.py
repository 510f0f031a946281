"""A backup has all that the archive has, stays one whatever happens to the next, and what was restored verifies."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from inspection.accounts.sign_in import SignIn
from inspection.accounts.users import utc_now
from inspection.archive import Archive
from inspection.backup import BackupRefused, backup, restore
from inspection.records import Draft, FrameRecord, utc_text
from inspection.registry.items import read_versions
from inspection.registry.steps import Registry
from inspection.retention import Rule, apply_removals, plan_removals
from inspection.signatures import Signer, sign_record
from inspection.signing import signing_key
from inspection.verify import verify_archive
from tests.people import PASSWORD, people
from tests.serve.serving import write_recipe


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    people(tmp_path / "archive", eva="engineer", quinn="quality")
    with Archive(tmp_path / "archive") as opened:
        yield opened


def unit(archive: Archive, number: int) -> None:
    frames = (FrameRecord("c", number, utc_text(), archive.images.put(f"picture {number}".encode(), ".png")),)
    archive.append(Draft("unit", f"u{number}", batch="B", outcome="PASS", frames=frames), "s")


def again(archive: Archive, out: Path) -> None:
    with Archive(archive.folder, read_only=True) as source:
        assert backup(source, out).problems == []


def test_packages_recipes_and_reports_under_change_control_are_in_it(
    archive: Archive, tmp_path: Path, vial_package: Path
) -> None:
    desk = Registry(archive, signing_key(archive), Signer(SignIn(archive), "eva", PASSWORD))
    desk.register_package(vial_package, "first")
    desk.register_recipe(write_recipe(tmp_path, vial_package, version="1.0.0"), "first")
    again(archive, tmp_path / "copy")
    assert restore(tmp_path / "copy", tmp_path / "new").problems == []

    with Archive(tmp_path / "new") as made:
        for version in read_versions(made).values():
            assert made.images.get(version.content) == archive.images.get(version.content)
        desk = Registry(made, signing_key(made), Signer(SignIn(made), "eva", PASSWORD))
        desk.register_recipe(write_recipe(tmp_path, vial_package, version="2.0.0"), "changed")  # which compares
        gone = next(iter(read_versions(made).values())).content
        made.images.delete(gone)
    assert any(f"image {gone} is missing" in problem for problem in verify_archive(tmp_path / "new").problems)


def test_a_backup_that_did_not_come_to_its_end_leaves_the_one_before(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    for number in range(3):
        unit(archive, number)
    again(archive, copy)
    unit(archive, 3)
    signed = archive.get("s", 4)
    assert signed is not None
    sign_record(archive, signing_key(archive), signed, Signer(SignIn(archive), "quinn", PASSWORD), "reviewed", "seen")
    take = Archive.take
    for stopped in (0, 1):  # the original is gone after so many pages
        left = [None] * stopped

        def take_or_stop(*of: Any, left: list[None] = left) -> None:
            if not left:
                raise BackupRefused("gone")
            left.pop()
            take(*of)

        with monkeypatch.context() as patched, Archive(archive.folder, read_only=True) as source:
            patched.setattr(Archive, "take", take_or_stop)
            with pytest.raises(BackupRefused, match="gone"):
                backup(source, copy)
        assert restore(copy, tmp_path / f"new-{stopped}").problems == []


def test_records_that_the_rule_removed_since_may_stay_in_it(archive: Archive, tmp_path: Path) -> None:
    for number in range(4):
        unit(archive, number)
    again(archive, tmp_path / "copy")
    later = utc_now() + timedelta(days=30)
    removals = plan_removals(archive, (Rule(kind="record", after_days=10),), later)
    apply_removals(archive, signing_key(archive), removals, Signer(SignIn(archive), "quinn", PASSWORD), "SOP-17")
    unit(archive, 5)
    again(archive, tmp_path / "copy")
    again(archive, tmp_path / "new copy")
    with Archive(tmp_path / "copy") as kept, Archive(tmp_path / "new copy") as short:
        assert [row["sequence"] for row in kept.rows("s")] == [1, 2, 3, 4, 5]
        assert [row["sequence"] for row in short.rows("s")] == [4, 5]


def test_nobody_is_signed_in_to_what_was_restored(archive: Archive, tmp_path: Path) -> None:
    session = SignIn(archive).sign_in("quinn", PASSWORD)
    again(archive, tmp_path / "copy")
    restore(tmp_path / "copy", tmp_path / "new")
    with Archive(tmp_path / "new") as made:
        assert SignIn(made).session(session.token) is None
