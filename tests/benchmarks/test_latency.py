"""What the detector adds to its backbone: the command on a real package and frame."""

from pathlib import Path

import numpy as np
import onnx
from click.testing import CliRunner

from benchmarks.latency import backbone_of, latency
from inspection.package import Package
from inspection.runtime import RUNTIMES, load_runtime


def test_the_backbone_is_the_package_s_own_up_to_its_maps(package: Package) -> None:
    frame = package.golden[package.manifest.golden[0].name][None]
    graph = onnx.load_model_from_string(package.model)

    maps = load_runtime("onnxruntime", backbone_of(graph), 1).run(frame)

    height, width = frame.shape[1:3]
    assert maps["s8"].shape[2:] == (height // 8, width // 8)
    assert maps["s16"].shape[2:] == (height // 16, width // 16)
    assert float(np.ptp(maps["s8"])) > 0
    assert len(onnx.load_model_from_string(backbone_of(graph)).graph.node) < len(graph.graph.node)


def test_each_runtime_has_a_row_and_the_yardstick_is_named(
    vial_package: Path, vial_images: dict[str, list[Path]]
) -> None:
    found = CliRunner().invoke(latency, [str(vial_package), str(vial_images["crack"][0]), "--rounds", "1"])

    assert found.exit_code == 0, found.output
    assert "yardstick on one:" in found.output
    rows = [line.strip("| ").split(" | ") for line in found.output.splitlines() if line.startswith("| ")][1:]
    assert [row[0] for row in rows] == list(RUNTIMES)
    assert all(float(cell) > 0 for row in rows for cell in row[1:])


def test_a_package_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = CliRunner().invoke(latency, [str(tmp_path / "none.onnx"), "frame.png"])

    assert found.exit_code == 1
    assert "none.onnx" in found.output and "package_missing" in found.output
