"""The comparison with anomalib, as far as it goes without anomalib, which neither CI nor our environment has: the
weights that both sides share, a measured process of ours, and the table."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import resnet18

from benchmarks.peer_process import note
from benchmarks.peer_systems import score
from benchmarks.peer_table import HEAD, summary, table
from benchmarks.peer_timing import Worker
from benchmarks.peer_weights import largest_difference, load_state, resnet_state
from inspection.frames import read_frame

ROOT = Path(__file__).parent.parent.parent
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


class Cut(torch.nn.Module):
    """A ResNet18's stride-8 and stride-16 maps of images 0-255, named as in the files in the shared weights."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.m = network

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = (x / 255 - MEAN.reshape(1, 3, 1, 1)) / STD.reshape(1, 3, 1, 1)
        m: Any = self.m
        s8 = m.layer2(m.layer1(m.maxpool(m.relu(m.bn1(m.conv1(x))))))
        return s8, m.layer3(s8)


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet18 with random weights and BatchNorms, exported with these folded into its convolutions."""
    torch.manual_seed(0)
    network = resnet18(weights=None).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.bias, -1, 1)
    for module in [network, *network.modules()]:
        for convolution, norm in (("conv1", "bn1"), ("conv2", "bn2"), ("0", "1")):
            pair = [module._modules.get(name) for name in (convolution, norm)]
            if isinstance(pair[0], torch.nn.Conv2d) and isinstance(pair[1], torch.nn.BatchNorm2d):
                module._modules |= {convolution: fuse_conv_bn_eval(*pair), norm: torch.nn.Identity()}
    path = tmp_path_factory.mktemp("weights") / "resnet18.onnx"
    torch.onnx.export(
        Cut(network), (torch.zeros(1, 3, 64, 64),), str(path), dynamo=False, opset_version=17,
        input_names=["x"], output_names=["s8", "s16"],
        dynamic_axes={"x": {0: "N", 2: "H", 3: "W"}, "s8": {0: "N", 2: "h", 3: "w"}, "s16": {0: "N", 2: "h2", 3: "w2"}},
    )  # fmt: skip
    return path


def test_weights_read_back_out_of_a_folded_file_give_its_features(folded: Path) -> None:
    network = resnet18(weights=None).eval()
    load_state(network, resnet_state(folded))
    images = np.random.default_rng(1).integers(0, 256, (2, 3, 96, 64)).astype(np.float32)

    with torch.inference_mode():
        s8, s16 = Cut(network)(torch.from_numpy(images))
    difference, largest = largest_difference(folded, {"s8": s8, "s16": s16}, images)

    assert largest > 0.1
    assert difference < 1e-5 * largest


def test_a_network_with_other_tensors_is_refused(folded: Path) -> None:
    with pytest.raises(ValueError, match=r"differ in 1 tensors, such as conv1\.weight"):
        load_state(resnet18(weights=None), {k: v for k, v in resnet_state(folded).items() if k != "conv1.weight"})


def test_a_process_of_ours_says_verdicts_and_times(
    tmp_path: Path, vial_package: Path, vial_images: dict[str, list[Path]]
) -> None:
    files = []
    for number, path in enumerate((vial_images["good"][0], vial_images["crack"][0])):
        files.append(str(tmp_path / f"{number}.npy"))
        np.save(files[-1], read_frame(path, "rgb").pixels)
    job = {"runtime": "onnxruntime", "model": str(vial_package), "files": files, "threads": 1}
    worker = Worker(
        [sys.executable, "-m", "benchmarks.peer_ours", "serve", note(tmp_path, "ours", job)], tmp_path / "log"
    )
    try:
        verdicts = worker.ask("verdicts")
        worker.turn(3)

        assert [stopped for stopped, _ in verdicts] == [False, True]
        assert len(worker.times) == 3 and min(worker.times) > 0
        assert worker.ask("memory") > 50
    finally:
        worker.close()


def system(name: str, p50: float, **other: object) -> dict[str, Any]:
    runtime = {
        "name": "quick",
        "serving_mb": 200.0,
        "flips": 1,
        "images": 83,
        "p99": 2 * p50,
        "cpu_ms": p50,
        "p50": p50,
    }
    slow = runtime | {"name": "slow", "p50": 100 * p50, "flips": 0}
    runtimes = [r | {"images_per_second": 1000 / r["p50"]} for r in (slow, runtime)]  # type: ignore[operator]
    return {"name": name, "runtimes": [*runtimes, {"name": "broken", "failed": "no such operator"}], **other}


def test_the_table_holds_each_figure_and_its_ratio_for_the_quickest_runtime() -> None:
    figures = {"image_auroc": 0.99, "aupro_30": 0.9, "fit_s": 20.0, "total_s": 30.0, "peak_mb": 500.0}
    ours = system("ours", 10.0, **figures)
    theirs = system("anomalib PatchCore", 40.0, **(figures | {"image_auroc": 0.9, "fit_s": 400.0}))
    downloaded = system("Dinomaly", 2000.0, note="not startable without a network")

    smaller = system("ours, int8", 5.0, image_auroc=0.99)

    systems = {"ours": [ours, smaller], "theirs": [theirs, downloaded]}
    text = table("Machine: M.", "Versions.", {"bottle": systems})
    lines = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| bottle")]
    rows = [dict(zip(HEAD, cells, strict=True)) for cells in lines if len(cells) == len(HEAD)]

    assert text.startswith("Machine: M.")
    assert [row["system"] for row in rows] == ["ours", "ours, int8", "anomalib PatchCore", "Dinomaly"]
    assert rows[0]["ms p50"] == "10.0" and rows[0]["best runtime"] == "quick"
    assert rows[2]["ms p50"] == "40.0 (0.25)" and rows[2]["images/s"] == "25.0 (4)"
    assert rows[2]["image AUROC"] == "90.0 (1.1)" and rows[2]["fit s"] == "400 (0.05)"
    assert rows[2]["labels that flip"] == "1 of 83"
    assert rows[3]["image AUROC"] == "not startable without a network" and rows[3]["fit s"] == "–"
    assert rows[3]["ms p50"] == "2000.0 (0.005)"
    assert "- bottle, anomalib PatchCore / ours: latency 4.0 x" in text
    assert "fitting 20.0 x, peak memory 1.0 x" in text
    assert "- bottle, anomalib PatchCore / ours, int8: latency 8.0 x, processor time a frame 8.0 x\n" in text
    assert "| bottle | ours | broken | failed: no such operator | – | – | – | – | – |" in text


def test_times_are_summed_up_as_numpy_does() -> None:
    times = [5.0, 1.0, 4.0, 2.0, 3.0, 10.0]

    found = summary(times, [7.0, 8.0, 9.0])

    assert [found["p50"], found["p99"]] == pytest.approx(np.percentile(times, [50, 99]))
    assert found["cpu_ms"] == 8.0
    assert found["images_per_second"] == pytest.approx(1000 / np.mean(times))


def test_the_command_says_how_to_make_the_peer_s_environment(tmp_path: Path) -> None:
    words = ["--data", tmp_path, "--weights", tmp_path, "--peer-python", sys.executable, "--out", tmp_path / "out"]
    command = [sys.executable, "-m", "benchmarks.peer", *map(str, words)]

    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 1
    assert "python -m venv PEER" in done.stderr and "Traceback" not in done.stderr


def test_the_peers_maps_are_measured_by_our_metrics(tmp_path: Path) -> None:
    good, bad = np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8)
    bad[10:20, 10:20] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), bad)
    files = [SimpleNamespace(defect=None, mask=None), SimpleNamespace(defect="crack", mask="mask.png")]
    maps = np.stack([good, bad]).astype(np.float32)
    found = score(files, np.array([0.1, 0.9]), maps, tmp_path, 40)
    assert found["image_auroc"] == found["pixel_auroc"] == 1
    assert found["aupro_30"] == pytest.approx(1)
    assert score(files, np.array([0.9, 0.1]), 1 - maps, tmp_path, 40)["aupro_30"] == pytest.approx(0)
