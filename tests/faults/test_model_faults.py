"""A station whose model fails: it says what is no number, or its file is exchanged under the running service."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inspection.frames import Pixels, read_frame
from inspection.package import Package, seal, write_package
from inspection.records import Entry, from_row
from inspection.verdict import Limits, Outcome
from inspection.verify import verify_archive
from tests.serve.serving import Running, running, wait_for, write_recipe

pytestmark = pytest.mark.timeout(180)
RATE_HZ = 5


def not_a_number_for_white(package: Package) -> bytes:
    """The package whose graph multiplies what it says by w / w, w being how far the darkest pixel is from white: by one
    for any frame but a white one, for which nothing is a number."""
    model = onnx.load_model_from_string(package.model)
    graph, frames = model.graph, model.graph.input[0].name
    said = [output.name for output in graph.output if output.name in ("score", "heatmap")]
    for node in graph.node:
        node.output[:] = [f"{name}_before" if name in said else name for name in node.output]
    graph.initializer.append(numpy_helper.from_array(np.float32(255), "white"))
    graph.node.extend(
        [
            helper.make_node("Cast", [frames], ["as_float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMin", ["as_float"], ["darkest"], keepdims=0),
            helper.make_node("Sub", ["white", "darkest"], ["from_white"]),
            helper.make_node("Div", ["from_white", "from_white"], ["one_or_none"]),
            *(helper.make_node("Mul", [f"{name}_before", "one_or_none"], [name]) for name in said),
        ]
    )
    return seal(model, package.manifest, package.golden)


def recorded(station: Running, archive: Path) -> list[Entry]:
    """Units on record after the stop: as many as came by and were told."""
    station.stop()
    units = [from_row(row) for row in station.service.archive.rows("station-1") if row["kind"] == "unit"]
    assert station.service.line.conveyor.opened == station.units() == len(units)
    found = verify_archive(archive)
    assert found.intact, found.problems
    return units


def test_a_frame_for_which_the_model_says_no_number_is_rejected_and_the_next_passes(
    tmp_path: Path, package: Package, vial_images: dict[str, list[Path]]
) -> None:
    write_package(tmp_path / "odd.onnx", not_a_number_for_white(package))
    (tmp_path / "frames").mkdir()
    good = [read_frame(path).pixels for path in vial_images["good"][:4]]
    frames: list[Pixels] = [good[0], good[1], np.full_like(good[0], 255), good[2], good[3]]
    for number, pixels in enumerate(frames):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), pixels[:, :, ::-1])
    recipe = write_recipe(
        tmp_path,
        tmp_path / "odd.onnx",
        runtime="onnxruntime",
        camera={"kind": "folder", "path": "frames", "rate_hz": RATE_HZ},
    )
    with running(recipe, tmp_path / "archive") as station:
        wait_for(lambda: station.units() >= len(frames), 60)
        units = recorded(station, tmp_path / "archive")
    assert [unit.outcome for unit in units] == ["PASS", "PASS", "REJECT", "PASS", "PASS"]
    assert (units[2].reason, units[2].score) == ("score_not_finite", None)
    assert units[2].frames[0].image


@pytest.fixture
def exchangeable(tmp_path: Path, package: Package) -> Iterator[Running]:
    """A running line whose package is a file of its own."""
    write_package(
        tmp_path / "own.onnx", seal(onnx.load_model_from_string(package.model), package.manifest, package.golden)
    )
    recipe = write_recipe(
        tmp_path, tmp_path / "own.onnx", camera={"kind": "simulator", "rate_hz": RATE_HZ, "defect_rate": 0}
    )
    with running(recipe, tmp_path / "archive") as station:
        wait_for(lambda: station.service.tally.snapshot()["outcomes"]["PASS"] >= 2, 40)
        yield station


def test_a_package_that_is_exchanged_under_the_service_is_not_run(
    exchangeable: Running, tmp_path: Path, package: Package
) -> None:
    generous = package.manifest.model_copy(update={"limits": Limits(review_limit=1e6, reject_limit=2e6), "golden": [
        golden.model_copy(update={"outcome": Outcome.PASS}) for golden in package.manifest.golden
    ]})  # fmt: skip
    (tmp_path / "own.onnx").unlink()
    write_package(tmp_path / "own.onnx", seal(onnx.load_model_from_string(package.model), generous, package.golden))
    pid = exchangeable.service.line.inspector.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: "put the approved file there" in exchangeable.service.alarm, 90)
    passed = exchangeable.service.tally.snapshot()["outcomes"]["PASS"]
    rejected = exchangeable.units()
    wait_for(lambda: exchangeable.units() >= rejected + 3)
    time.sleep(0.5)
    assert exchangeable.service.tally.snapshot()["outcomes"]["PASS"] == passed
    units = recorded(exchangeable, tmp_path / "archive")
    assert units[-1].reason == "model_fault"
