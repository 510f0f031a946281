"""Training on the patch tokens of a vision transformer, by the commands."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("timm")

from inspection.detector import Detector
from inspection.frames import read_frame
from inspection.package import read_package
from inspection.runtime import NAMES
from models.export_backbone import export_backbone
from tests.training.conftest import QUICK, Say, files_in


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """timm's smallest vision transformer, with random weights."""
    path = tmp_path_factory.mktemp("backbone") / "vit.onnx"
    result = CliRunner().invoke(export_backbone, ["--timm", "test_vit", "--random", "3", "--output", str(path)])
    assert result.exit_code == 0, result.output
    return path


@pytest.mark.parametrize("algorithm", ["patchcore", "patchcore-head"])
def test_a_package_on_a_vision_transformer_scores_the_same_in_every_engine(
    algorithm: str, say: Say, vit: Path, vial_dataset: Path, vial_images: dict[str, list[Path]], tmp_path: Path
) -> None:
    out = tmp_path / "vial.onnx"
    words = (*QUICK, "--algorithm", algorithm, "--head-steps", 3, "--size", 128, "--backbone", vit, "--out", out)

    say("train", "anomaly", "--root", vial_dataset, "--category", "vial", *words)

    package = read_package(out)
    assert package.manifest.backbone.name == "test_vit"
    frames = [read_frame(paths[0]).pixels for paths in vial_images.values()]
    scores = [[Detector(package, engine).find(frame).score for frame in frames] for engine in NAMES]
    assert len(set(scores[0])) == len(frames)
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4)


def test_an_input_too_large_for_attention_is_refused(
    refused: Say, vit: Path, vial_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "vial.onnx"
    words = (*QUICK, "--size", 1280, "--backbone", vit, "--out", out)

    sentence = refused("train", "anomaly", "--root", vial_dataset, "--category", "vial", *words)

    assert "takes at most 1,048,576 pixels of model input" in sentence
    assert sentence.endswith("[input_too_large]")
    assert files_in(tmp_path) == []
