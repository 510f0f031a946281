"""The recipe's shadow: how a candidate is named, what is refused, and what of it is under change control."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from inspection.accounts.sign_in import SignIn
from inspection.archive import Archive
from inspection.config import ConfigInvalid, validate
from inspection.recipe import Recipe, read_recipe
from inspection.recipe_shadow import DEFAULT_SHARE
from inspection.registry.content import read_pinned, recipe_content, recipe_digest, recipe_of
from inspection.registry.items import read_versions
from inspection.registry.steps import Registry, StepRefused
from inspection.signatures import Signer
from inspection.signing import signing_key
from tests.conftest import ROOT
from tests.people import PASSWORD, people
from tests.serve.serving import write_recipe

SHA = "ab" * 32


def recipe_with(shadow: Any) -> Recipe:
    keys = {"name": "vials", "version": "1.0.0", "product": "vial", "package": {"path": "vial.onnx", "sha256": SHA}}
    return validate(keys | ({"shadow": shadow} if shadow else {}), Recipe, "recipe.yaml")


@pytest.mark.parametrize(("shadow", "said"), [
    ({}, "shadow.package"), ({"package": {}}, "is named by `path`"),
    ({"package": {"name": "vial"}}, "is named by `path`"),
    ({"package": {"path": "a.onnx", "name": "vial", "version": "1.1.0"}}, "is named by `path`"),
    ({"package": {"path": "a.onnx", "version": "1.1.0"}}, "is named by `path`"),
    ({"package": {"name": "vial", "version": "1.1.0", "sha256": SHA}}, "is named by `path`"),
    ({"package": {"name": "vial", "version": "new"}}, "shadow.package.version"),
    ({"package": {"path": "a.onnx", "sha256": "12"}}, "shadow.package.sha256"),
    ({"package": {"path": "a.onnx"}, "share": 0}, "shadow.share"),
    ({"package": {"path": "a.onnx"}, "share": 1.01}, "shadow.share"),
    ({"package": {"path": "a.onnx"}, "share": float("nan")}, "shadow.share"),
    ({"package": {"path": "a.onnx"}, "shares": 0.1}, "did you mean 'share'"),
    ({"package": {"path": "a.onnx"}, "limits": {"review_limit": 3, "reject_limit": 2}}, "review_limit"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence(shadow: Any, said: str) -> None:
    with pytest.raises(ConfigInvalid, match=said) as refused:
        recipe_with(shadow or {"package": None})
    assert len(str(refused.value).splitlines()) == 1


def test_the_example_on_the_page_is_one() -> None:
    page = (ROOT / "serve" / "README.md").read_text()
    [block] = [one for one in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if one.startswith("shadow:")]
    for text in (block, block.replace("# limits", "limits")):
        shadow = recipe_with(yaml.safe_load(text)["shadow"]).shadow
        assert shadow and (shadow.package.label, shadow.share) == ("vial 1.1.0", DEFAULT_SHARE)


def test_a_recipe_without_a_shadow_keeps_its_digest_and_one_with_it_has_another() -> None:
    plain = recipe_with(None)
    assert "shadow" not in recipe_content(plain)
    beside = recipe_with({"package": {"path": "x/candidate.onnx", "sha256": SHA}})
    assert recipe_digest(beside) != recipe_digest(plain)
    elsewhere = recipe_with({"package": {"path": "y/other.onnx", "sha256": SHA}})
    assert recipe_digest(elsewhere) == recipe_digest(beside)
    for one in (beside, recipe_with({"package": {"name": "vial", "version": "1.1.0"}, "share": 0.25})):
        assert recipe_digest(recipe_of(recipe_content(one), "content")) == recipe_digest(one)


def test_under_change_control_the_candidate_is_fixed_and_need_not_be_there(tmp_path: Path, vial_package: Path) -> None:
    people(tmp_path / "archive", eva="engineer")
    with Archive(tmp_path / "archive") as archive:
        eva = Registry(archive, signing_key(archive), Signer(SignIn(archive), "eva", PASSWORD))
        eva.register_package(vial_package, "first")
        loose = write_recipe(tmp_path, vial_package, shadow={"package": {"path": "nowhere.onnx"}})
        with pytest.raises(StepRefused, match="add its `sha256`"):
            eva.register_recipe(loose, "a trial")
        assert ("recipe", "vials", "1.0.0") not in read_versions(archive)
        fixed = write_recipe(tmp_path, vial_package, shadow={"package": {"path": "nowhere.onnx", "sha256": SHA}})
        eva.register_recipe(fixed, "a trial")
        found = read_versions(archive)[("recipe", "vials", "1.0.0")]
        assert found.digest == recipe_digest(read_pinned(fixed)[0])
        assert len(found.packages) == 1  # the candidate becomes active with another recipe, not with this one
    assert read_recipe(fixed).shadow
