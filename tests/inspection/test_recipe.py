"""Recipes and configuration files: typed, strict, and helpful when they are wrong."""

from pathlib import Path

import pytest

from inspection.config import ConfigInvalid
from inspection.recipe import RecipePackageDiffers, read_recipe, recipe_packages

GOOD = """\
name: vials
version: 1.2.3
product: vial
package: {path: vial.onnx}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_a_recipe_is_read_with_its_defaults(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, GOOD + "camera: {kind: folder, path: /images, rate_hz: 3}\n"))

    assert recipe.label == "vials 1.2.3"
    assert recipe.camera is not None
    assert recipe.camera.options == {"path": "/images", "rate_hz": 3}
    assert (recipe.station, recipe.limits, recipe.deadline_ms) == ("station-1", None, 1000)
    assert recipe.runtime == "auto"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "deadline: 5\n", "there is no key 'deadline'; did you mean 'deadline_ms'"),
        (GOOD + "limits: {review_limit: 1, reject_limt: 2}\n", "key 'limits.reject_limt'; did you mean 'reject_limit'"),
        (GOOD + "colour_of_the_moon: 5\n", "known keys are batch, camera"),
        (GOOD + "limits: {review_limit: 3, reject_limit: 2}\n", "review_limit 3.0 is above reject_limit 2.0"),
        (GOOD + "runtime: abacus\n", "runtime: input should be 'auto', 'onnxruntime' or 'openvino'"),
        (GOOD + "deadline_ms: soon\n", "deadline_ms: input should be a valid integer"),
        (GOOD.replace("product: vial\n", ""), "the key 'product' is missing"),
        (GOOD + "name: other\n", "the key 'name' stands twice"),
        (GOOD.replace("1.2.3", "1.2"), "version: "),
        (GOOD + "station: ../up\n", "station: "),
        (GOOD + "station: audit\n", "is the chain of what people do"),
        ("- a list\n", "holds no keys"),
        ("", "holds no keys"),
        ("a: [", "not valid YAML"),
        ("\x00", "not valid YAML"),
        (GOOD + "batch: 2026-02-30\n", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)

    with pytest.raises(ConfigInvalid) as refused:
        read_recipe(path)

    assert message in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_a_binary_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(bytes(range(128, 256)))

    with pytest.raises(ConfigInvalid, match=r"gone\.yaml cannot be read"):
        read_recipe(tmp_path / "gone.yaml")
    with pytest.raises(ConfigInvalid, match="not valid YAML"):
        read_recipe(tmp_path / "binary.yaml")


def test_a_package_made_for_another_product_does_not_run(tmp_path: Path, vial_package: Path) -> None:
    (tmp_path / "vial.onnx").write_bytes(vial_package.read_bytes())

    with pytest.raises(RecipePackageDiffers, match="made for product 'vial'"):
        recipe_packages(read_recipe(written(tmp_path, GOOD.replace("product: vial", "product: tablet"))), tmp_path)


def test_only_the_named_package_runs(tmp_path: Path, vial_package: Path) -> None:
    (tmp_path / "vial.onnx").write_bytes(vial_package.read_bytes())
    digest = recipe_packages(read_recipe(written(tmp_path, GOOD)), tmp_path)[0].digest
    named = GOOD.replace("{path: vial.onnx}", "{path: vial.onnx, sha256: '%s'}")

    assert recipe_packages(read_recipe(written(tmp_path, named % digest)), tmp_path)[0].digest == digest
    with pytest.raises(RecipePackageDiffers, match="put the approved file there"):
        recipe_packages(read_recipe(written(tmp_path, named % ("0" * 64))), tmp_path)
