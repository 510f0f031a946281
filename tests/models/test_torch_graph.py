"""A backbone in torch computes what its file computes, and what it learns goes back into the file."""

import numpy as np
import onnx
import pytest
import torch

from inspection.preprocess import Geometry
from inspection.runtime import load_runtime
from models.backbones import BACKBONES, load_backbone
from models.class_graph import class_features_graph
from models.torch_graph import BackboneNotTrainable, TorchGraph

GEOMETRY = Geometry(height=80, width=112, aspect=112 / 80)


def graph(name: str, geometry: Geometry = GEOMETRY) -> onnx.ModelProto:
    backbone = load_backbone(name)
    return class_features_graph(backbone.model, backbone.channels, geometry)


def run(model: onnx.ModelProto, frames: np.ndarray) -> np.ndarray:
    return load_runtime("onnxruntime", model.SerializeToString(), 2, "fp32").run(frames)["features"]


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (1, 80, 112, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_torch_computes_what_the_file_computes(name: str, frames: np.ndarray) -> None:
    with torch.inference_mode():
        found = TorchGraph(graph(name))(torch.from_numpy(frames)).numpy()

    wanted = run(graph(name), frames)
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


def test_a_training_step_changes_the_file_and_both_still_agree(frames: np.ndarray) -> None:
    network = TorchGraph(graph("efficientnet_lite0"))
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)
    network(torch.from_numpy(frames)).pow(2).mean().backward()
    optimiser.step()

    with torch.inference_mode():
        found = network(torch.from_numpy(frames)).numpy()
    changed = run(network.model(), frames)
    np.testing.assert_allclose(found, changed, atol=1e-4 * np.abs(changed).max())
    assert np.abs(changed - run(graph("efficientnet_lite0"), frames)).max() > 1e-3


def test_a_backbone_it_cannot_train_is_refused_in_a_sentence() -> None:
    tiled = Geometry(height=1280, width=1280, aspect=1.0)

    with pytest.raises(BackboneNotTrainable, match="Scan"):
        TorchGraph(graph("efficientnet_lite0", tiled))
