"""The zoo's files and the check at its door. Nothing here needs torch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper, parser

from inspection.errors import InspectionError
from models import backbones
from models.backbones import BACKBONES, Backbone, describe_backbone, load_backbone

TINY = """
<ir_version: 8, opset_import: ["" : 17]>
tiny (float[N, 3, H, W] x) => (float[N, 3, h, w] s8, float[N, 3, h2, w2] s16) {
    s8 = AveragePool <kernel_shape = [8, 8], strides = [8, 8]> (x)
    s16 = AveragePool <kernel_shape = [16, 16], strides = [16, 16]> (x)
}
"""


def run(model: bytes, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    maps: list[NDArray[np.float32]] = session.run(["s8", "s16"], {"x": images})
    return maps


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).integers(0, 256, shape).astype(np.float32)


@pytest.fixture(params=sorted(BACKBONES))
def zoo_backbone(request: pytest.FixtureRequest) -> Backbone:
    return load_backbone(request.param)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    onnx.save(parser.parse_model(TINY), path)
    return path


def test_a_zoo_file_is_what_the_registry_says(zoo_backbone: Backbone) -> None:
    assert describe_backbone(zoo_backbone.onnx_bytes(), zoo_backbone.path) == zoo_backbone


def test_a_zoo_file_carries_its_origin_and_has_its_licence_beside_it(zoo_backbone: Backbone) -> None:
    metadata = {entry.key: entry.value for entry in zoo_backbone.model.metadata_props}
    assert set(metadata) == {"name", "licence", "source", "weights_sha256"}
    notice = backbones.ZOO / f"LICENSE-{zoo_backbone.name.replace('_', '-')}.txt"
    assert zoo_backbone.path.name in notice.read_text()
    assert metadata["source"] in notice.read_text()


def test_a_zoo_graph_has_nothing_left_of_training(zoo_backbone: Backbone) -> None:
    graph = zoo_backbone.model.graph
    operators = {node.op_type for node in graph.node}
    assert operators <= {"Sub", "Div", "Conv", "Clip", "Relu", "Add", "MaxPool", "AveragePool"}
    used = {name for node in graph.node for name in node.input}
    assert {tensor.name for tensor in graph.initializer} <= used


@pytest.mark.parametrize(("height", "width"), [(64, 64), (65, 95), (97, 130)])
def test_a_zoo_graph_takes_any_size(zoo_backbone: Backbone, height: int, width: int) -> None:
    maps = run(zoo_backbone.onnx_bytes(), noise(1, 3, height, width))
    wanted = [
        (1, channels, -(-height // stride), -(-width // stride))
        for channels, stride in zip(zoo_backbone.channels, zoo_backbone.strides, strict=True)
    ]
    assert [found.shape for found in maps] == wanted


def test_an_image_gives_the_same_features_alone_and_in_a_batch(zoo_backbone: Backbone) -> None:
    data, images = zoo_backbone.onnx_bytes(), noise(3, 3, 64, 96)
    for alone, together in zip(run(data, images[1:2]), run(data, images), strict=True):
        np.testing.assert_allclose(alone[0], together[1], atol=1e-4)


def test_openvino_gives_the_same_features(zoo_backbone: Backbone) -> None:
    openvino = pytest.importorskip("openvino")
    core, images = openvino.Core(), noise(2, 3, 96, 128)
    network = core.read_model(zoo_backbone.path)
    compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(images)
    for index, wanted in enumerate(run(zoo_backbone.onnx_bytes(), images)):
        np.testing.assert_allclose(found[index], wanted, atol=1e-3)


def test_the_zoo_loads_where_torch_is_not_installed() -> None:
    program = (
        "import sys; sys.modules['torch'] = sys.modules['timm'] = None\n"
        "from models.backbones import load_backbone\n"
        "print(load_backbone('efficientnet_lite0').channels)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(40, 112)"


def test_any_file_with_the_interface_is_a_backbone(tiny: Path) -> None:
    backbone = load_backbone(str(tiny))
    assert (backbone.name, backbone.channels, backbone.licence) == ("tiny", (3, 3), "not stated")
    assert backbone.onnx_bytes() == tiny.read_bytes()


def test_the_model_is_a_copy_of_its_own(tiny: Path) -> None:
    backbone = load_backbone(str(tiny))
    backbone.model.graph.output.pop()
    assert len(backbone.model.graph.output) == 2


def refusal(name_or_path: str | Path, code: str) -> str:
    """The sentence with which a backbone is refused: one line, under this code."""
    with pytest.raises(InspectionError) as caught:
        load_backbone(str(name_or_path))
    sentence = str(caught.value)
    assert caught.value.code == code
    assert "\n" not in sentence
    return sentence


def test_an_unknown_name_is_refused_with_the_nearest_ones() -> None:
    assert "efficientnet_lite0" in refusal("efficientnet_lite", "unknown_backbone")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "gone.onnx" in refusal(tmp_path / "gone.onnx", "backbone_file_missing")


def test_a_file_changed_after_it_was_described_is_refused(tiny: Path) -> None:
    backbone = load_backbone(str(tiny))
    tiny.write_bytes(tiny.read_bytes() + b"\x00")
    with pytest.raises(backbones.BackboneChanged, match=backbone.sha256):
        backbone.onnx_bytes()


def test_a_damaged_zoo_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = BACKBONES["efficientnet_lite0"]
    data = bytearray(good.path.read_bytes())
    data[len(data) // 2] ^= 1
    damaged = tmp_path / good.path.name
    damaged.write_bytes(data)
    entry = Backbone(good.name, damaged, good.sha256, good.channels, good.licence)
    monkeypatch.setitem(BACKBONES, good.name, entry)
    refusal(good.name, "backbone_changed")


@pytest.mark.parametrize(
    "content",
    [b"", b"not a model", BACKBONES["efficientnet_lite0"].path.read_bytes()[:100_000]],
    ids=["empty", "text", "cut short"],
)
def test_what_is_not_a_whole_onnx_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.onnx"
    path.write_bytes(content)
    assert str(path) in refusal(path, "backbone_not_onnx")


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    model = parser.parse_model(TINY.replace("(x)", "(shifted)").replace(") {", ") { shifted = Add (x, by)"))
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "by"))
    path = tmp_path / "split.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert "another file" in refusal(path, "backbone_not_onnx")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({" x)": " image)", "(x)": "(image)"}, "inputs image"),
        ({", float[N, 3, h2, w2] s16)": ")"}, "outputs s8;"),
        ({"s16": "deep"}, "outputs s8, deep;"),
        ({"[N, 3, H, W]": "[1, 3, H, W]"}, "[1, 3, H, W]"),
        ({"[N, 3, H, W]": "[N, 3, 224, 224]"}, "[N, 3, 224, 224]"),
        ({"[N, 3, H, W]": "[N, 1, H, W]"}, "[N, 1, H, W]"),
        ({"[N, 3, h2, w2]": "[N, 3, h2]"}, "[N, 3, h2]"),
        ({"float": "double"}, "DOUBLE"),
        ({"strides = [16, 16]": "strides = [8, 8]"}, "[2, C, 4, 6]"),
        ({"strides = [16, 16]": "strides = [0, 0]"}, "fails on images"),
        ({"(x)": "(holes)", ") {": ") { zero = Sub (x, x) holes = Log (zero)"}, "not finite"),
    ],
)
def test_another_interface_is_refused(tmp_path: Path, changes: dict[str, str], told: str) -> None:
    text = TINY
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "other.onnx"
    onnx.save(parser.parse_model(text), path)
    assert told in refusal(path, "backbone_interface")
