"""The classifier's graph says what its trained head says, and its heatmap is what the score is made of."""

import numpy as np
import onnx
import pytest
import torch

from inspection.preprocess import Geometry
from inspection.runtime import able, load_runtime
from models.backbones import load_backbone
from models.class_graph import Labels, class_features_graph, classes_graph
from models.class_head import ClassHead
from models.torch_graph import TorchGraph

GEOMETRY = Geometry(height=96, width=64, aspect=64 / 96)
CLASSES = 3
LABELS: tuple[Labels, ...] = ("single", "multi")


@pytest.fixture(scope="module")
def features() -> onnx.ModelProto:
    backbone = load_backbone("efficientnet_lite0")
    return class_features_graph(backbone.model, backbone.channels, GEOMETRY)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 96, 64, 3), dtype=np.uint8)


def head_of(features: onnx.ModelProto) -> ClassHead:
    """A head with weights as no training leaves them: all of them matter."""
    channels = features.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    torch.manual_seed(0)
    head = ClassHead(torch.randn(channels), torch.rand(channels) + 0.5, torch.randn(CLASSES))
    torch.nn.init.normal_(head.last.weight, std=0.2)
    torch.nn.init.normal_(head.log_sharpness)
    return head.eval()


def logits_of(head: ClassHead, features: onnx.ModelProto, frames: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = head(TorchGraph(features)(torch.from_numpy(frames)))
        return logits


@pytest.mark.parametrize("name", able("fp32"))
@pytest.mark.parametrize("labels", LABELS)
def test_every_runtime_says_what_the_trained_head_says(
    labels: Labels, name: str, features: onnx.ModelProto, frames: np.ndarray
) -> None:
    head = head_of(features)
    model = classes_graph(features, GEOMETRY, head.weights(), labels)
    outputs = load_runtime(name, model.SerializeToString(), 2, "fp32").run(frames[:1])

    logits = logits_of(head, features, frames[:1]).double()
    if labels == "single":
        both = torch.softmax(torch.nn.functional.pad(logits, (1, 0)), dim=1)
        probabilities, good = both[:, 1:], both[:, 0]
    else:
        probabilities = torch.sigmoid(logits)
        good = (1 - probabilities).prod(dim=1)
    np.testing.assert_allclose(outputs["class_probabilities"], probabilities.numpy(), atol=1e-4)
    np.testing.assert_allclose(outputs["score"], -good.log().numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("labels", LABELS)
def test_the_heatmap_is_never_negative_and_its_maximum_is_the_score(
    labels: Labels, features: onnx.ModelProto, frames: np.ndarray
) -> None:
    model = classes_graph(features, GEOMETRY, head_of(features).weights(), labels)
    outputs = load_runtime("onnxruntime", model.SerializeToString(), 2, "fp32").run(frames)

    assert outputs["heatmap"].shape == (2, *GEOMETRY.cells)
    assert outputs["heatmap"].min() >= 0
    np.testing.assert_allclose(outputs["heatmap"].max(axis=(1, 2)), outputs["score"], rtol=1e-5)


def test_a_temperature_divides_the_logits(features: onnx.ModelProto, frames: np.ndarray) -> None:
    head = head_of(features)
    model = classes_graph(features, GEOMETRY, head.weights().cooled(2.5), "multi")
    found = load_runtime("onnxruntime", model.SerializeToString(), 2, "fp32").run(frames)["class_probabilities"]

    np.testing.assert_allclose(found, torch.sigmoid(logits_of(head, features, frames) / 2.5).numpy(), atol=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", able("fp32"))
@pytest.mark.parametrize("labels", LABELS)
def test_a_feature_that_is_no_number_leaves_no_score(
    labels: Labels, name: str, value: float, features: onnx.ModelProto, frames: np.ndarray
) -> None:
    """Engines differ in what Relu and a maximum make of it; none may make a score."""
    rows, columns = (side // 16 for side in (GEOMETRY.height, GEOMETRY.width))
    spoilt = onnx.ModelProto()
    spoilt.CopyFrom(features)
    for node in spoilt.graph.node:
        node.output[:] = ["sound" if output == "features" else output for output in node.output]
    bad = np.zeros((1, 1, rows, columns), dtype=np.float32)
    bad[0, 0, 1, 1] = value
    spoilt.graph.initializer.append(onnx.numpy_helper.from_array(bad, "bad"))
    spoilt.graph.node.append(onnx.helper.make_node("Add", ["sound", "bad"], ["features"]))
    model = classes_graph(spoilt, GEOMETRY, head_of(features).weights(), labels)

    outputs = load_runtime(name, model.SerializeToString(), 2, "fp32").run(frames[:1])
    assert not np.isfinite(outputs["score"]).any()
