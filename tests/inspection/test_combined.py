"""A recipe with two packages: either stops a unit, one pass serves both, and the record has both findings."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from inspection.archive import Archive
from inspection.archive_work import ArchiveWork
from inspection.combined import CombinedDetector, NotAClassifier, PackagesDiffer
from inspection.detector import Detector
from inspection.finding import GoldenMismatch
from inspection.frames import Pixels, read_frame
from inspection.heatmap import decode_heatmap
from inspection.joined_graph import join_graphs
from inspection.package import Package, open_package, read_package, seal
from inspection.preprocess import Window
from inspection.recipe import PackageRef, Recipe, recipe_detector
from inspection.runtime import Outputs, able, load_runtime
from inspection.station import Station
from inspection.unit_result import inspect_unit
from inspection.verdict import Limits, Outcome

Images = dict[str, list[Path]]


@pytest.fixture(scope="session")
def classifier(classifier_package: Path) -> Package:
    return read_package(classifier_package)


@pytest.fixture(scope="session")
def both(package: Package, classifier: Package) -> CombinedDetector:
    return CombinedDetector(package, classifier)


def test_one_graph_holds_the_common_backbone_once(package: Package, classifier: Package) -> None:
    joined = join_graphs([package.model, classifier.model])
    assert joined is not None

    def convolutions(model: bytes) -> int:
        return sum(node.op_type == "Conv" for node in onnx.ModelProto.FromString(model).graph.node)

    alone = convolutions(package.model)
    assert convolutions(joined) == alone + 3  # the classifier's own three
    assert len(joined) < 1.3 * len(package.model)


@pytest.mark.parametrize("runtime", able("fp32"))
def test_both_find_in_one_pass_what_each_finds_alone(
    runtime: str, package: Package, classifier: Package, vial_images: Images
) -> None:
    together = CombinedDetector(package, classifier, runtime)
    assert together.one_pass
    for path in (vial_images["good"][0], vial_images["crack"][0]):
        pixels = read_frame(path).pixels
        found = together.find(pixels)
        ((other, limits),) = found.also
        alone = [Detector(each, runtime).find(pixels) for each in (package, classifier)]

        assert limits == classifier.manifest.limits
        for one, two in zip((found, other), alone, strict=True):
            assert one.score == pytest.approx(two.score, rel=1e-4, abs=1e-5)
            np.testing.assert_allclose(one.heatmap, two.heatmap, rtol=1e-3, atol=1e-4)
        assert [each.name for each in other.classes] == [each.name for each in classifier.manifest.classes]


def looking_otherwise(package: Package, **change: object) -> Package:
    """The package with another model input in its manifest."""
    manifest = package.manifest.model_copy(update={"input": package.manifest.input.model_copy(update=change)})
    return open_package(seal(onnx.ModelProto.FromString(package.model), manifest, package.golden), "changed")


def test_packages_that_see_another_part_of_the_frame_run_one_after_the_other(
    classifier: Package, package: Package, vial_images: Images
) -> None:
    rows, columns = package.manifest.input.cells
    window = Window(rows=2 * rows, columns=2 * columns, top=rows, left=0)
    both = CombinedDetector(looking_otherwise(package, window=window), classifier)

    assert not both.one_pass
    found = both.find(read_frame(vial_images["crack"][0]).pixels)
    ((other, _),) = found.also
    alone = Detector(classifier).find(read_frame(vial_images["crack"][0]).pixels)
    assert other.score == pytest.approx(alone.score)


def test_packages_for_unlike_cameras_are_refused_when_they_are_loaded(classifier: Package, package: Package) -> None:
    with pytest.raises(PackagesDiffer, match="no camera gives both"):
        CombinedDetector(looking_otherwise(package, colour="mono"), classifier)


@pytest.mark.parametrize("which", ["first", "second"])
def test_what_either_stops_does_not_pass(
    which: str, package: Package, classifier: Package, vial_images: Images
) -> None:
    never, always = Limits(review_limit=1e6, reject_limit=1e6), Limits(review_limit=-1, reject_limit=-1)
    limits = (always, never) if which == "first" else (never, always)
    found = CombinedDetector(package, classifier).find(read_frame(vial_images["good"][0]).pixels)
    ((other, _),) = found.also
    changed = type(found)(found.score, found.heatmap, found.classes, ((other, limits[1]),))

    assert changed.verdict(limits[0]).outcome is not Outcome.PASS
    assert type(found)(found.score, found.heatmap, (), ((other, never),)).verdict(never).outcome is Outcome.PASS


def test_the_golden_frames_of_both_are_proved(package: Package, classifier: Package) -> None:
    first, *others = classifier.manifest.golden
    moved = first.model_copy(update={"score": first.score + 1})
    manifest = classifier.manifest.model_copy(update={"golden": [moved, *others]})
    changed = open_package(seal(onnx.ModelProto.FromString(classifier.model), manifest, classifier.golden), "moved")

    with pytest.raises(GoldenMismatch, match="moved"):
        CombinedDetector(package, changed)


def test_a_probability_that_moved_is_a_golden_mismatch_even_where_the_score_did_not(classifier: Package) -> None:
    first, *others = classifier.manifest.golden
    moved = first.model_copy(update={"classes": [*first.classes[:-1], first.classes[-1] + 0.1]})
    manifest = classifier.manifest.model_copy(update={"golden": [moved, *others]})
    changed = open_package(seal(onnx.ModelProto.FromString(classifier.model), manifest, classifier.golden), "moved")

    with pytest.raises(GoldenMismatch, match="the probability"):
        Detector(changed)


class WrongOfTheClassifier:
    """A runtime that says of the first package's outputs what is right."""

    def __init__(self, name: str, *rest: Any) -> None:
        self.name, self._inner = name, load_runtime("onnxruntime", *rest)

    def run(self, frames: Pixels) -> Outputs:
        return {name: values + name.startswith("1/") for name, values in self._inner.run(frames).items()}


@pytest.mark.parametrize("wrong", able("fp32"))
def test_auto_takes_no_runtime_that_fails_the_golden_check_of_the_classifier(
    wrong: str, package: Package, classifier: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str, *rest: Any) -> object:
        return WrongOfTheClassifier(name, *rest) if name == wrong else load_runtime(name, *rest)

    monkeypatch.setattr("inspection.runtime_choice.load_runtime", load)

    assert CombinedDetector(package, classifier, "auto").runtime != wrong
    with pytest.raises(GoldenMismatch):
        CombinedDetector(package, classifier, wrong)


def test_a_record_has_both_findings(
    recipe: Recipe, both: CombinedDetector, tmp_path: Path, vial_images: Images
) -> None:
    with Archive(tmp_path / "archive") as archive:
        entry = Station(recipe, both, archive).inspect(read_frame(vial_images["crack"][0])).entry

    assert entry is not None
    part = entry.details["classifier"]
    assert part["package"] == both.classifier.package.digest
    assert set(part["classes"]) == {each.name for each in both.classifier.manifest.classes}
    assert part["review_limit"] == both.classifier.manifest.limits.review_limit


@pytest.mark.parametrize("which", ["package", "classifier"])
def test_the_heatmap_on_record_is_of_the_finding_that_decided(
    which: str, recipe: Recipe, both: CombinedDetector, tmp_path: Path, vial_images: Images
) -> None:
    frame = read_frame(vial_images["crack"][0])
    found = both.find(frame.pixels)
    ((other, _),) = found.also
    strict = Limits(review_limit=-1, reject_limit=-1)
    lax = Limits(review_limit=1e6, reject_limit=1e6)
    moved = CombinedDetector(both.package, both.classifier.package)
    moved.classifier.manifest = moved.classifier.manifest.model_copy(update={"limits": lax})
    if which == "classifier":
        moved.classifier.manifest = moved.classifier.manifest.model_copy(update={"limits": strict})
    limits = strict if which == "package" else lax
    with Archive(tmp_path / "archive") as archive:
        entry = Station(recipe.model_copy(update={"limits": limits}), moved, archive).inspect(frame).entry
        assert entry is not None
        name = entry.frames[0].heatmap
        assert name is not None
        kept = decode_heatmap(archive.images.get(name), name)

    assert entry.outcome != Outcome.PASS
    assert entry.details["decided_by"] == which
    np.testing.assert_allclose(kept, (found if which == "package" else other).heatmap, rtol=1e-2, atol=1e-2)


def test_what_both_decided_is_decided_again(
    recipe: Recipe,
    both: CombinedDetector,
    tmp_path: Path,
    vial_images: Images,
    vial_package: Path,
    classifier_package: Path,
    inspection: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    with Archive(tmp_path / "archive") as archive:
        station = Station(recipe, both, archive)
        for paths in vial_images.values():
            station.inspect(read_frame(paths[0]))
    out = tmp_path / "again"
    words = ["--classifier", classifier_package, "--runtime", "onnxruntime"]
    done = inspection("reinspect", vial_package, "--archive", tmp_path / "archive", "--out", out, *words, "--quiet")

    assert done.returncode == 0, done.stderr
    result = json.loads((out / "result.json").read_text())
    assert result["units"] == len(vial_images)
    assert result["changed_verdicts"] == []
    assert result["classifier"]["sha256"] == both.classifier.package.digest
    assert both.classifier.package.digest in (out / "report.html").read_text()

    done = inspection(
        "reinspect", vial_package, "--archive", tmp_path / "archive", "--out", tmp_path / "half", "--quiet"
    )
    assert f"{len(vial_images)} units had been decided with a classifier as well" in done.stdout

    done = inspection("predict", vial_package, vial_images["crack"][0], *words, "--json", "-")
    told = json.loads(done.stdout)
    [image] = told["images"]
    assert told["classifier_limits"] == both.classifier.manifest.limits.model_dump()
    assert image["score"] == image["scores"][image["decided_by"]]
    assert set(image["scores"]) == {"package", "classifier"}
    assert set(image["classes"]) == {each.name for each in both.classifier.manifest.classes}
    done = inspection("predict", vial_package, vial_images["crack"][0], "--classifier", vial_package)
    assert "[not_a_classifier]" in done.stderr


def test_the_limits_on_record_are_those_of_both(
    recipe: Recipe, both: CombinedDetector, tmp_path: Path, vial_images: Images
) -> None:
    """Decided with a classifier whose limits stop everything: with its recorded limits it is decided so again."""
    lax, strict = Limits(review_limit=1e6, reject_limit=1e6), Limits(review_limit=-1, reject_limit=-1)
    moved = CombinedDetector(both.package, both.classifier.package)
    moved.classifier.manifest = moved.classifier.manifest.model_copy(update={"limits": strict})
    frame = read_frame(vial_images["good"][0])
    with Archive(tmp_path / "archive") as archive:
        was = Station(recipe.model_copy(update={"limits": lax}), moved, archive).inspect(frame)
        work = ArchiveWork(archive)
        work.pin(None)
        (item,) = work.items()
        moved.classifier.manifest = moved.classifier.manifest.model_copy(update={"limits": lax})
        [again] = inspect_unit(item, work, [moved], "recorded").results.each
        [other] = inspect_unit(item, work, [moved], "package").results.each

    assert (again.new, again.new_reason) == (was.outcome, was.reason)
    assert again.new != "PASS"
    assert other.new_reason != was.reason


def test_a_recipe_names_both(recipe: Recipe, classifier_package: Path, vial_package: Path, tmp_path: Path) -> None:
    named = recipe.model_copy(update={"classifier": PackageRef(path=classifier_package)})
    assert isinstance(recipe_detector(named, tmp_path, "onnxruntime"), CombinedDetector)

    wrong = recipe.model_copy(update={"classifier": PackageRef(path=vial_package)})
    with pytest.raises(NotAClassifier, match="knows no defect classes"):
        recipe_detector(wrong, tmp_path)
