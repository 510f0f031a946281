"""Signed heads find what hashes alone cannot: a chain that was changed and hashed anew by somebody with every file."""

import json
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from inspection.archive import Archive
from inspection.heads_file import HeadsInvalid, read_heads
from inspection.records import GENESIS, Draft, row_hash
from inspection.signing import SigningKey, SigningKeyUnusable, head_statement, read_public_key, sign_heads, signing_key
from inspection.verify import Trust, verify_archive

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An archive of two chains, signed twice."""
    with Archive(tmp_path / "archive") as archive:
        key = signing_key(archive)
        for number in range(6):
            archive.append(Draft("unit", f"u{number}", outcome="REJECT"), "left")
            archive.append(Draft("unit", f"u{number}", outcome="PASS"), "right")
            if number % 3 == 2:
                sign_heads(archive, key)
    return tmp_path / "archive"


def forge(folder: Path, station: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a chain's rows, hash them anew and put them back, with the note of the head, as a skilled forger would."""
    with Archive(folder, read_only=True) as archive:
        rows = list(archive.rows(station))
    previous = GENESIS
    for row in rows:
        change(row)
        row["previous"] = previous
        row["hash"] = previous = row_hash(row)
    database = sqlite3.connect(folder / "archive.sqlite")
    guards = [row[0] for row in database.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
    for name in ("entries_refuse_update", "entries_refuse_delete"):
        database.execute(f"DROP TRIGGER {name}")
    database.execute("DELETE FROM entries WHERE station = ?", (station,))
    marks = ", ".join(f":{name}" for name in rows[0])
    database.executemany(f"INSERT INTO entries ({', '.join(rows[0])}) VALUES ({marks})", rows)
    for guard in guards:
        database.execute(guard)
    database.commit()
    database.close()
    (folder / "heads" / f"{station}.json").write_text(json.dumps({"sequence": len(rows), "hash": previous}))


def pass_the_second(row: dict[str, Any]) -> None:
    if row["sequence"] == 2:
        row["outcome"] = "PASS"


def test_a_signed_archive_is_intact_and_says_how_far_it_is_signed(folder: Path) -> None:
    found = verify_archive(folder)

    assert found.problems == []
    assert found.signed == {"left": 7, "right": 7}
    assert len(found.keys) == 1


def test_a_chain_that_did_not_grow_is_not_signed_again(folder: Path) -> None:
    with Archive(folder) as archive:
        assert sign_heads(archive, signing_key(archive)) == []


def test_a_chain_hashed_anew_is_found_by_its_signatures(folder: Path) -> None:
    forge(folder, "left", pass_the_second)

    problems = verify_archive(folder).problems

    assert problems == [
        "record left/4 has a signature that does not fit the chain",
        "record left/8 has a signature that does not fit the chain",
    ]


def test_signing_anew_with_another_key_is_found_by_whoever_has_the_right_one(folder: Path) -> None:
    with Archive(folder) as archive:
        right = signing_key(archive).public_key
    own = SigningKey(Ed25519PrivateKey.generate())
    state = {"previous": GENESIS}

    def sign_anew(row: dict[str, Any]) -> None:
        pass_the_second(row)
        if row["reason"] == "head_signed":
            said = head_statement("left", row["sequence"] - 1, state["previous"], row["recorded_at"])
            details = said | {"public_key": own.public_key, "signature": own.sign(said)}
            row["details"] = json.dumps(details, sort_keys=True, separators=(",", ":"))
        state["previous"] = row_hash(row | {"previous": state["previous"]})

    forge(folder, "left", sign_anew)

    assert verify_archive(folder).problems == []  # nobody can tell without the key
    problems = verify_archive(folder, trust=Trust(frozenset({right}))).problems
    assert [problem.partition(" (")[0] for problem in problems[:2]] == [
        "record left/4 was signed with another key", "record left/8 was signed with another key"
    ]  # fmt: skip


@pytest.fixture
def kept(folder: Path, tmp_path: Path, inspection: Run) -> tuple[Path, Path]:
    """The heads and the public key as somebody else keeps them."""
    done = inspection(
        "heads", "--archive", folder, "--out", tmp_path / "heads.json", "--public-key", tmp_path / "key.pub"
    )
    assert done.returncode == 0, done.stderr
    return tmp_path / "heads.json", tmp_path / "key.pub"


def cut_off(folder: Path, station: str, after: int) -> None:
    """Take away the end of a chain, and make the note of its head fit."""
    with Archive(folder, read_only=True) as archive:
        last = archive.get(station, after)
    database = sqlite3.connect(folder / "archive.sqlite")
    guard = database.execute("SELECT sql FROM sqlite_master WHERE name = 'entries_refuse_delete'").fetchone()[0]
    database.execute("DROP TRIGGER entries_refuse_delete")
    database.execute("DELETE FROM entries WHERE station = ? AND sequence > ?", (station, after))
    database.execute(guard)
    database.commit()
    database.close()
    note = folder / "heads" / f"{station}.json"
    note.unlink() if last is None else note.write_text(json.dumps({"sequence": after, "hash": last.hash}))


@pytest.mark.parametrize("after", [0, 1, 7])
def test_a_chain_cut_off_with_its_note_is_found_by_the_copy(
    after: int, folder: Path, kept: tuple[Path, Path], inspection: Run
) -> None:
    cut_off(folder, "right", after)
    assert inspection("verify", "--archive", folder, "--quiet").returncode == 0  # alone it cannot tell

    done = inspection("verify", "--archive", folder, "--quiet", "--heads", kept[0], "--public-key", kept[1])

    assert done.returncode == (1 if after < 7 else 0), done.stdout
    assert after == 7 or f"record right/7 is missing: the chain was cut off after {after}" in done.stdout


def test_an_archive_made_anew_as_a_whole_is_found_by_the_copy(
    folder: Path, kept: tuple[Path, Path], inspection: Run
) -> None:
    shutil.rmtree(folder)
    with Archive(folder) as archive:
        archive.append(Draft("unit", "u0", outcome="PASS"), "left")
        sign_heads(archive, signing_key(archive))

    done = inspection("verify", "--archive", folder, "--quiet", "--heads", kept[0], "--public-key", kept[1])

    assert done.returncode == 1
    assert "signed with another key" in done.stdout


@pytest.mark.parametrize("damage", ["", "[]", '{"format": "x", "heads": []}', "changed"])
def test_a_damaged_copy_of_heads_is_refused(
    damage: str, kept: tuple[Path, Path], folder: Path, inspection: Run
) -> None:
    text = kept[0].read_text()
    kept[0].write_text(text.replace('"sequence": 3', '"sequence": 2') if damage == "changed" else damage)

    with pytest.raises(HeadsInvalid):
        read_heads(kept[0])
    done = inspection("verify", "--archive", folder, "--heads", kept[0])
    assert done.returncode == 1 and "[heads_invalid]" in done.stderr


def test_the_key_is_its_owners_alone_and_lies_where_the_settings_say(tmp_path: Path) -> None:
    folder, vault = tmp_path / "archive", tmp_path / "vault"
    folder.mkdir()
    vault.mkdir()
    (folder / "archive.yaml").write_text("signing_key: ../vault/line.key\n")
    with Archive(folder) as archive:
        first, again = signing_key(archive), signing_key(archive)

    assert first.fingerprint == again.fingerprint
    assert stat.S_IMODE((vault / "line.key").stat().st_mode) == 0o600
    assert [path.name for path in vault.iterdir()] == ["line.key"]
    assert not list(folder.glob("*.key"))


def test_a_key_that_is_none_is_a_named_fault(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        (tmp_path / "signing.key").write_text("no key")
        with pytest.raises(SigningKeyUnusable, match="no private key"):
            signing_key(archive)
    with pytest.raises(SigningKeyUnusable, match="no Ed25519 public key"):
        read_public_key(tmp_path / "signing.key")
