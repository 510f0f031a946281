"""A recipe's region: what lies outside it does not count, what lies inside counts in full, and doubt rejects."""

import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inspection.archive import Archive
from inspection.archive_work import ArchiveWork
from inspection.config import ConfigInvalid
from inspection.detector import Detector
from inspection.finding import Finding
from inspection.frames import read_frame
from inspection.heatmap import decode_heatmap
from inspection.image_finding import ImageFinding
from inspection.package import Package
from inspection.recipe import PackageRef, Recipe, read_recipe, recipe_packages
from inspection.recipe_region import RecipeRegion, RegionCount, RegionRefused, Shape, region_score, touched_cells
from inspection.registry.content import recipe_content
from inspection.reinspect import Reinspection
from inspection.station import Station
from inspection.verdict import Limits, Outcome, Reason
from tests.serve.serving import running, wait_for, write_recipe

Images = dict[str, list[Path]]
LEFT = {"everywhere": [{"rectangle": [0, 0, 0.5, 1]}]}
maps = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).gamma(2, 2, (12, 10)))


def graph(distance: NDArray[np.float64]) -> tuple[float, NDArray[np.float32]]:
    """Score and heatmap as the memory's graph makes them of its distances (`models/graph.py`)."""
    mean = np.sort(distance, axis=None)[-16:].mean()
    heatmap = (distance * mean / distance.max()).astype(np.float32)
    return float(heatmap.max()), heatmap


@given(maps, st.integers(1, 9), st.integers(1, 11))
def test_the_score_over_a_region_is_that_of_its_own_distances(
    distance: NDArray[np.float64], columns: int, rows: int
) -> None:
    counted = np.zeros(distance.shape, dtype=bool)
    counted[:rows, :columns] = True
    score, heatmap = graph(distance)
    own = np.sort(distance[counted])[-16:].mean()
    found = region_score(heatmap, counted, np.ones_like(counted))
    assert found == pytest.approx(min(own, score), rel=1e-5)
    assert found <= score


def test_something_hot_outside_does_not_hide_a_defect_inside() -> None:
    distance = np.ones((20, 20))
    distance[4:8, 4:8] = 20.0  # the defect
    alone, _ = graph(distance)
    distance[2, 18] = 1000.0  # a reflection, which makes all the rest of the heatmap dark
    score, heatmap = graph(distance)
    counted = np.zeros((20, 20), dtype=bool)
    counted[:, :10] = True
    assert heatmap[counted].max() < 0.1 * alone
    assert score > 3 * alone
    assert region_score(heatmap, counted, np.ones_like(counted)) == pytest.approx(alone)


def test_all_of_the_frame_is_the_score_as_it_was() -> None:
    score, heatmap = graph(np.random.default_rng(1).gamma(2, 2, (12, 10)))
    cells = touched_cells((Shape(rectangle=(0, 0, 1, 1)),), 12, 10)
    assert cells.all()
    assert region_score(heatmap, cells, cells) == score


@pytest.mark.parametrize("spoil", ["nan", "infinite", "shape", "nothing"])
def test_what_cannot_be_told_is_no_number_and_rejects(spoil: str, package: Package) -> None:
    count = RegionCount(package.manifest)
    heatmap = np.ones(count.inside.shape, dtype=np.float32)
    shapes = (Shape(rectangle=(0, 0, 0.5, 1)),)
    if spoil in ("nan", "infinite"):
        heatmap[-1, -1] = math.nan if spoil == "nan" else math.inf  # outside the region, all the same
    if spoil == "shape":
        heatmap = heatmap[:-2]
    if spoil == "nothing":
        assert math.isnan(region_score(heatmap, np.zeros_like(count.inside), count.inside))
        return
    found = count.count(ImageFinding(Finding(1.0, heatmap)), shapes)
    verdict = found.verdict(Limits(review_limit=1e9, reject_limit=1e9))
    assert (verdict.outcome, verdict.reason) == (Outcome.REJECT, Reason.SCORE_NOT_FINITE)


@given(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.02, 1), st.floats(0.02, 1))
def test_every_cell_that_a_rectangle_touches_counts(left: float, top: float, width: float, height: float) -> None:
    right, bottom = min(1.0, left + width), min(1.0, top + height)
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    rows, columns = 24, 16
    as_rectangle = touched_cells((Shape(rectangle=(left, top, right, bottom)),), rows, columns)
    assert (as_rectangle == touched_cells((Shape(polygon=corners),), rows, columns)).all()
    wanted = np.zeros((rows, columns), dtype=bool)
    wanted[int(top * rows) : math.ceil(bottom * rows), int(left * columns) : math.ceil(right * columns)] = True
    assert as_rectangle[wanted].all()
    assert as_rectangle.sum() <= (wanted.sum() + rows + columns + 1)


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ({}, "leave it out"),
        ({"everywhere": []}, "at least 1"),
        ({"everywhere": [{"polygon": [[0, 0], [1, 1]]}]}, "at least 3"),
        ({"everywhere": [{"polygon": [[0, 0], [0.5, 0.5], [1, 1]]}]}, "no area"),
        ({"everywhere": [{"polygon": [[0, 0], [1, 1], [1, 0], [0, 0.9]]}]}, "cross each other"),
        ({"everywhere": [{"polygon": [[0, 0], [1.2, 0], [1, 1]]}]}, "less than or equal to 1"),
        ({"everywhere": [{"rectangle": [0.5, 0, 0.2, 1]}]}, "left less than right"),
        ({"everywhere": [{"rectangle": [0, 0, 1, 1], "polygon": [[0, 0], [1, 0], [1, 1]]}]}, "either"),
        ({"cameras": {"side": [{"rectangle": [0, 0, 1, 1]}]}}, "names a camera 'side'"),
        ({"everywhere": [{"circle": [0, 0, 1]}]}, "there is no key"),
    ],
)
def test_a_region_that_is_none_is_refused_with_one_sentence(
    region: dict[str, object], said: str, tmp_path: Path, vial_package: Path
) -> None:
    camera = {"kind": "http", "name": "top"}
    with pytest.raises(ConfigInvalid, match=said):
        read_recipe(write_recipe(tmp_path, vial_package, region=region, camera=camera))


def test_packages_whose_score_is_not_told_by_the_heatmap_are_refused(
    tmp_path: Path, vial_package: Path, classifier_package: Path
) -> None:
    for more in ({"classifier": {"path": str(classifier_package)}}, {"package": {"path": str(classifier_package)}}):
        recipe = read_recipe(write_recipe(tmp_path, vial_package, region=LEFT, **more))
        with pytest.raises(RegionRefused, match="as a whole"):
            recipe_packages(recipe, tmp_path)


def test_a_learned_head_is_refused(package: Package) -> None:
    from inspection.recipe_region import check_region

    for update in ({"algorithm": "patchcore-head"}, {"precision": "bf16"}):
        other = Package(package.source, package.manifest.model_copy(update=update), package.digest, b"", {},
                        frozenset())  # fmt: skip
        with pytest.raises(RegionRefused, match="cannot be told"):
            check_region(RecipeRegion.model_validate(LEFT), other)


def test_recipes_without_a_region_keep_the_content_that_was_approved(tmp_path: Path, vial_package: Path) -> None:
    recipe = read_recipe(write_recipe(tmp_path, vial_package))
    assert "region" not in recipe_content(recipe)
    assert "region" in recipe_content(read_recipe(write_recipe(tmp_path, vial_package, region=LEFT)))


def test_station_record_and_reinspection_agree(
    tmp_path: Path, vial_package: Path, detector: Detector, vial_images: Images
) -> None:
    """The region decides, the record says so, and the same images judged again give the same."""
    count = RegionCount(detector.manifest)
    cracked = read_frame(vial_images["crack"][0])
    rows, columns = count.inside.shape
    heatmap = detector.find(cracked.pixels).heatmap
    row, column = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
    hot = (
        max(0, column - 2) / columns,
        max(0, row - 2) / rows,
        min(1, (column + 3) / columns),
        min(1, (row + 3) / rows),
    )
    calm = [0.0, 0.0, 1.0, 0.1] if row > rows / 2 else [0.0, 0.9, 1.0, 1.0]
    regions = {"calm": RecipeRegion.model_validate({"everywhere": [{"rectangle": calm}]}),
               "hot": RecipeRegion.model_validate({"everywhere": [{"rectangle": hot}]}),
               "other": RecipeRegion.model_validate({"cameras": {"elsewhere": [{"rectangle": calm}]}})}  # fmt: skip
    with Archive(tmp_path / "archive") as archive:
        for name, region in regions.items():
            recipe = Recipe(name="vials", version="1.0.0", product="vial", package=PackageRef(path=vial_package),
                            region=region, deadline_ms=60_000)  # fmt: skip
            done = Station(recipe, detector, archive).inspect(cracked, unit=name)
            assert done.entry
            assert done.outcome is (Outcome.PASS if name == "calm" else Outcome.REJECT)
            [frame] = done.entry.frames
            assert done.entry.details["frame_score"] == pytest.approx(float(heatmap.max()))
            shapes = region.of(frame.camera)
            assert done.entry.details.get("region", {}).get(frame.camera) == (
                [one.plain() for one in shapes] if shapes else None
            )
            if shapes:
                kept = decode_heatmap(archive.images.get(str(frame.heatmap)), "heatmap")
                assert region_score(kept, touched_cells(shapes, rows, columns), count.inside) == done.entry.score
    with Archive(tmp_path / "archive", read_only=True) as archive:
        result = Reinspection(ArchiveWork(archive), detector, "recorded", 1).run(tmp_path / "again")
        assert result["changed_verdicts"] == []
        assert result["largest_score_difference"] == 0
        result = Reinspection(ArchiveWork(archive), detector, "package", 1).run(tmp_path / "whole")
        assert [one["old"] for one in result["changed_verdicts"]] == ["PASS"]


def test_the_line_counts_the_region_of_the_camera(
    tmp_path: Path, vial_package: Path, package: Package, vial_images: Images
) -> None:
    inspected = RegionCount(package.manifest).inside
    (row, *_), (column, *_) = np.nonzero(inspected)
    rows, columns = inspected.shape
    x, y = float(column), float(row)
    corner = [(x + 0.1) / columns, (y + 0.1) / rows, (x + 0.9) / columns, (y + 0.9) / rows]
    region = {"cameras": {"top": [{"rectangle": corner}]}}
    camera = {"kind": "http", "name": "top"}
    image = vial_images["crack"][0].read_bytes()
    with running(write_recipe(tmp_path, vial_package, region=region, camera=camera), tmp_path / "archive") as station:
        station.client.post("/api/cameras/top/frames", files={"image": ("a.png", image)}).raise_for_status()
        wait_for(lambda: station.service.archive.latest(1, kind="unit"))
        [by_camera] = station.service.archive.latest(1, kind="unit")
        assert (by_camera.outcome, by_camera.frames[0].camera) == ("PASS", "top")
        assert by_camera.details["region"] == {"top": [{"rectangle": corner}]}
        assert by_camera.details["frame_score"] > by_camera.score


def test_region_in_yaml(tmp_path: Path, vial_package: Path) -> None:
    file = write_recipe(tmp_path, vial_package, region=LEFT)
    assert yaml.safe_load(file.read_text())["region"] == LEFT
    assert read_recipe(file).region == RecipeRegion.model_validate(LEFT)
