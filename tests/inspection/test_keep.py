"""Of units that pass a stated sample is kept in full, of the others a thumbnail; of all others everything."""

import statistics
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from inspection.archive import Archive
from inspection.archive_work import ArchiveWork
from inspection.detector import Detector
from inspection.frames import read_frame
from inspection.manifest import Manifest
from inspection.recipe import Keep, Recipe
from inspection.station import Station
from inspection.verdict import Outcome
from inspection.verify import verify_archive
from tests.serve.serving import running, write_recipe

Images = dict[str, list[Path]]


@pytest.mark.parametrize(
    "keep", [{"passes_in_full": 1.1}, {"passes_in_full": -0.1}, {"thumbnail_px": 8}, {"all": True}]
)
def test_a_share_or_size_that_makes_no_sense_is_refused(keep: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Keep(**keep)  # type: ignore[arg-type]


@given(share=st.floats(0, 1), unit=st.text(max_size=20))
def test_what_did_not_pass_is_always_kept_in_full_and_the_draw_is_the_same_again(share: float, unit: str) -> None:
    keep = Keep(passes_in_full=share)
    assert all(keep.in_full("s", unit, outcome) for outcome in (Outcome.REJECT, Outcome.REVIEW))
    assert keep.in_full("s", unit, Outcome.PASS) == Keep(passes_in_full=share).in_full("s", unit, Outcome.PASS)
    if keep.in_full("s", unit, Outcome.PASS):
        assert Keep(passes_in_full=min(1.0, share + 0.1)).in_full("s", unit, Outcome.PASS)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_the_sample_has_the_stated_share(share: float) -> None:
    drawn = [Keep(passes_in_full=share).in_full("s", f"u-{number}", Outcome.PASS) for number in range(20_000)]
    assert abs(statistics.mean(drawn) - share) < 0.01


def test_a_station_keeps_thumbnails_of_passes_and_all_of_the_rest(
    tmp_path: Path, recipe: Recipe, detector: Detector, vial_images: Images
) -> None:
    recipe = recipe.model_copy(update={"keep": Keep(passes_in_full=0, thumbnail_px=64)})
    with Archive(tmp_path) as archive:
        station = Station(recipe, detector, archive)
        for kind in ("good", "crack"):
            entry = station.inspect(read_frame(vial_images[kind][0])).entry
            assert entry is not None
            [frame] = entry.frames
            if entry.outcome == Outcome.PASS:
                assert (frame.image, frame.heatmap) == (None, None)
                with Image.open(BytesIO(archive.images.get(str(frame.thumbnail)))) as small:
                    assert (small.format, max(small.size)) == ("JPEG", 64)
            else:
                assert frame.image and frame.heatmap and frame.thumbnail is None
    found = verify_archive(tmp_path)
    assert (found.problems, found.files) == ([], 3)
    with Archive(tmp_path, read_only=True) as archive:
        pinned = ArchiveWork(archive).pin()
    assert (pinned.units, pinned.without_image) == (1, 1)  # a thumbnail is nothing to inspect again


def test_a_page_shows_the_thumbnail_and_whoever_wants_the_image_is_told(
    tmp_path: Path, vial_package: Path, vial_images: Images
) -> None:
    recipe = write_recipe(tmp_path, vial_package, keep={"passes_in_full": 0.0})
    with running(recipe, tmp_path / "archive") as station:
        record = station.upload(vial_images["good"][0].read_bytes()).json()["record"]
        shown = station.client.get(record["links"]["image"], params={"width": 560})
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
        asked = station.client.get(record["links"]["image"])
        assert asked.status_code == 404 and "only a thumbnail was kept" in asked.json()["detail"]
        name = station.service.archive.images
        record = station.upload(vial_images["good"][1].read_bytes()).json()["record"]
        name.delete(record["frames"][0]["thumbnail"])
    problems = verify_archive(tmp_path / "archive").problems
    assert len(problems) == 1 and "is missing" in problems[0]


def test_a_grey_camera_s_thumbnail_is_shown_at_any_width(
    tmp_path: Path, vial_package: Path, vial_images: Images
) -> None:
    recipe = write_recipe(tmp_path, vial_package, keep={"passes_in_full": 0.0, "thumbnail_px": 128})
    with running(recipe, tmp_path / "archive") as station:
        record = station.upload(vial_images["good"][0].read_bytes()).json()["record"]
        station.service.station.detector.manifest = mono(station.service.station.detector.manifest)
        for width in (16, 560):
            assert station.client.get(record["links"]["image"], params={"width": width}).status_code == 200


def mono(manifest: Manifest) -> Manifest:
    return manifest.model_copy(update={"input": manifest.input.model_copy(update={"colour": "mono"})})
