"""What reviewers decided becomes a labelled dataset by two commands, and says where each label comes from."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from data.layouts import load_dataset
from data.reviewed import export_reviewed
from inspection.archive import Archive
from inspection.image_store import ImageChanged
from inspection.reviews import add_review
from tests.people import PASSWORD, people

Run = Callable[..., subprocess.CompletedProcess[str]]
Fill = Callable[[int], Path]


def test_reviews_become_a_dataset_by_two_commands(
    filled_archive: Fill, inspection: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = filled_archive(4), tmp_path / "labelled"
    people(folder, ada="reviewer")
    monkeypatch.setenv("INSPECTION_PASSWORD", PASSWORD)
    for number, words in ((1, ["--good"]), (2, ["--label", "crack"]), (3, ["--label", "stain", "--label", "crack"])):
        done = inspection("review", f"station-1/{number}", "--archive", folder, "--as", "ada", *words)
        assert done.returncode == 0, done.stderr
    done = inspection("export-reviewed", "--archive", folder, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "3 images: 1 crack, 1 crack;stain, 1 good" in done.stdout

    dataset = load_dataset("table", out, None)
    samples = [*dataset.train, *dataset.test]
    assert sorted(str(sample.defect) for sample in samples) == ["None", "crack", "crack;stain"]
    lines = [json.loads(line) for line in (out / "provenance.jsonl").read_text().splitlines()]
    with Archive(folder, read_only=True) as archive:
        for line in lines:
            station, number = line["review"]["record"].split("/")
            entry = archive.get(station, int(number))
            assert entry is not None
            assert line["review"]["record_hash"] == entry.hash
            assert (line["package"], line["outcome"]) == (entry.package, entry.outcome)
            kept = archive.images.get(str(entry.frames[0].image))
            assert (out / line["image"]).read_bytes() == kept
            assert hashlib.sha256(kept).hexdigest() in line["image"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["review", "station-1/1", "--as", "ada"], "either --good or at least one --label"),
        (["review", "station-1/1", "--as", "ada", "--good", "--label", "crack"], "either --good"),
        (["review", "station-1/9", "--as", "ada", "--good"], "no record 'station-1/9'"),
        (["review", "station-1/1", "--as", "somebody", "--good"], "do not fit"),
        (["review", "station-1/1", "--as", "root.person", "--good"], "needs permission to review"),
        (["export-reviewed", "--out", "OUT"], "no reviewed unit"),
        (["export-reviewed", "--out", "INSIDE"], "lies in the archive"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    words: list[str], told: str, filled_archive: Fill, inspection: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, out = filled_archive(1), tmp_path / "labelled"
    people(archive, ada="reviewer")
    monkeypatch.setenv("INSPECTION_PASSWORD", PASSWORD)
    places = {"OUT": out, "INSIDE": archive / "labelled"}
    done = inspection(*(places.get(word, word) for word in words), "--archive", archive)

    assert done.returncode != 0
    assert told in done.stderr
    assert not any(place.exists() for place in places.values())


def test_a_changed_image_is_never_learnt_from(filled_archive: Fill, tmp_path: Path) -> None:
    folder = filled_archive(1)
    with Archive(folder) as archive:
        add_review(archive, "station-1/1", ("crack",), "Ada")
        entry = archive.get("station-1", 1)
        assert entry is not None
        path = archive.images.path(str(entry.frames[0].image))
        path.chmod(0o644)
        path.write_bytes(path.read_bytes() + b"x")

        with pytest.raises(ImageChanged):
            export_reviewed(archive, tmp_path / "labelled")
    assert not (tmp_path / "labelled" / "labels.csv").exists()
