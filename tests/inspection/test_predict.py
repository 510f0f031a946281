"""`inspection predict`: verdicts and heatmaps of single files; bad files never pass and never stop the others."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

from inspection.detector import Detector
from inspection.frames import read_frame
from inspection.heatmap import overlay
from inspection.predict import heatmap_files
from tests.bad_images import BAD_IMAGES

Run = Callable[..., CompletedProcess[str]]
Images = dict[str, list[Path]]
SAME = ("--runtime", "onnxruntime")  # the one of the fixture `detector`


def make_bad(kind: str, good: Path, folder: Path) -> tuple[Path, str]:
    """A file that must not be inspected, and the code of its error."""
    if kind == "missing":
        return folder / "missing.png", "frame_unreadable"
    if kind == "wrong aspect":
        path = folder / "wide.png"
        with Image.open(good) as image:
            image.resize((image.height * 2, image.width)).save(path)
        return path, "frame_wrong_geometry"
    data, name, code = BAD_IMAGES[kind]
    path = folder / f"{kind.replace(' ', '-')}-{name}"
    path.write_bytes(data)
    return path, code


BAD = [*BAD_IMAGES, "wrong aspect", "missing"]


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_image_is_one_sentence_and_no_pass(
    kind: str, vial_package: Path, vial_images: Images, inspection: Run, tmp_path: Path
) -> None:
    bad, code = make_bad(kind, vial_images["good"][0], tmp_path)
    out, heatmaps = tmp_path / "result.json", tmp_path / "heatmaps"
    done = inspection("predict", vial_package, bad, "--json", out, "--heatmaps", heatmaps)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and str(bad) in done.stderr and f"[{code}]" in done.stderr
    assert "PASS" not in done.stdout
    [image] = json.loads(out.read_text())["images"]
    assert (image["outcome"], image["reason"], image["score"]) == ("REJECT", code, None)
    assert image["error"]["code"] == code and image["heatmap"] is None
    assert list(heatmaps.iterdir()) == []


def test_bad_images_do_not_stop_the_others(
    vial_package: Path, vial_images: Images, detector: Detector, inspection: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    bad = [make_bad(kind, vial_images["good"][0], folder)[0] for kind in BAD if kind != "missing"]
    good = shutil.copy(vial_images["good"][0], folder / "zz.png")
    done = inspection("predict", vial_package, folder, "--json", "-", *SAME)
    assert done.returncode == 1
    images = {Path(image["path"]).name: image for image in json.loads(done.stdout)["images"]}
    assert set(images) == {path.name for path in bad} | {"zz.png"}
    assert {images[path.name]["outcome"] for path in bad} == {"REJECT"}
    assert images["zz.png"]["score"] == detector.find(read_frame(good).pixels).score
    assert images["zz.png"]["error"] is None
    lines = done.stderr.splitlines()
    assert len(lines) == len(bad) + 1 and all(any(str(path) in line for line in lines) for path in bad)
    assert f"{len(bad)} of {len(bad) + 1}" in lines[-1]


def test_verdicts_are_those_of_the_limits(vial_package: Path, vial_images: Images, inspection: Run) -> None:
    paths = [path for group in vial_images.values() for path in group]
    done = inspection("predict", vial_package, *paths, "--json", "-")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    review, reject = content["limits"]["review_limit"], content["limits"]["reject_limit"]
    assert [image["path"] for image in content["images"]] == [str(path) for path in paths]
    for image in content["images"]:
        score = image["score"]
        assert image["outcome"] == ("REJECT" if score >= reject else "REVIEW" if score >= review else "PASS")
    assert {image["outcome"] for image in content["images"]} >= {"PASS", "REJECT"}


def test_a_line_for_each_image(vial_package: Path, vial_images: Images, inspection: Run) -> None:
    paths = [vial_images["good"][0], vial_images["missing_stopper"][0]]
    lines = inspection("predict", vial_package, *paths).stdout.splitlines()
    assert [line.split()[-1] for line in lines] == [str(path) for path in paths]
    assert lines[1].split()[:2] == ["REJECT", "above_reject_limit"]


def test_heatmaps_are_told_apart_and_have_the_size_of_the_frame(
    vial_package: Path, vial_images: Images, detector: Detector, inspection: Run, tmp_path: Path
) -> None:
    originals = [vial_images["good"][0], vial_images["crack"][0], vial_images["particle"][0]]
    paths = []
    for number, original in enumerate(originals):
        (tmp_path / str(number)).mkdir()
        paths.append(Path(shutil.copy(original, tmp_path / str(number) / "vial.png")))
    done = inspection("predict", vial_package, *paths, "--heatmaps", tmp_path / "maps", "--json", "-", *SAME)
    written = [Path(image["heatmap"]) for image in json.loads(done.stdout)["images"]]
    assert sorted(written) == sorted((tmp_path / "maps").iterdir())
    for path, picture in zip(paths, written, strict=True):
        pixels = read_frame(path).pixels
        wanted = overlay(pixels, detector.find(pixels).heatmap, detector.manifest.limits)
        np.testing.assert_array_equal(read_frame(picture).pixels, wanted)


def test_heatmaps_never_replace_an_image(tmp_path: Path) -> None:
    images = [tmp_path / "a.png", tmp_path / "a.heatmap.png", tmp_path / "A.jpg", tmp_path / ("long" * 60 + ".png")]
    files = heatmap_files(images, tmp_path)
    names = [file.name.casefold() for file in files]
    assert not {*names} & {image.name.casefold() for image in images}
    assert len({*names}) == len(images)
    assert max(map(len, names)) < 200


def test_an_empty_folder_is_refused(vial_package: Path, inspection: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to inspect")
    done = inspection("predict", vial_package, tmp_path, "--json", tmp_path / "result.json")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and str(tmp_path) in done.stderr and "[no_images]" in done.stderr
    assert not (tmp_path / "result.json").exists()


def test_a_package_that_is_not_ours_inspects_nothing(vial_images: Images, inspection: Run, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(b"not a package")
    done = inspection("predict", other, vial_images["good"][0], "--json", tmp_path / "result.json")
    assert done.returncode == 1 and "[not_a_package]" in done.stderr
    assert done.stdout == "" and not (tmp_path / "result.json").exists()
