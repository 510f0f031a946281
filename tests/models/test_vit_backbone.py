"""Vision transformers as backbones: the maps are timm's own tokens, at every size and in every engine."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

from torch.nn import functional  # noqa: E402

from inspection.preprocess import Geometry  # noqa: E402
from inspection.runtime import NAMES, load_runtime  # noqa: E402
from models.backbones import Backbone, load_backbone  # noqa: E402
from models.export_backbone import export_backbone  # noqa: E402
from models.graph import features_graph, memory_graph  # noqa: E402

State = dict[str, Any]
Maps = list[NDArray[np.float32]]
TINY, DINOV2, REGISTERS, FINE = (
    "vit_tiny_patch16_224", "vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2", "vit_small_patch8_224",
)  # fmt: skip


@cache
def weights(name: str) -> State:
    """Weights in which nothing is as initialised: DINOv2's LayerScale begins so small that its blocks do nothing."""
    generator = torch.Generator().manual_seed(7)
    state: State = timm.create_model(name, pretrained=False).state_dict()
    return {key: value + 0.05 * torch.randn(value.shape, generator=generator) for key, value in state.items()}


def export(name: str, state: State, folder: Path) -> Result:
    torch.save(state, folder / "weights.pth")
    words = ("--timm", name, "--weights", folder / "weights.pth", "--output", folder / "vit.onnx")
    return CliRunner().invoke(export_backbone, [str(word) for word in words])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Backbone]:
    """Exports a network with `weights` by the command, once."""

    @cache
    def once(name: str) -> Backbone:
        folder = tmp_path_factory.mktemp(name)
        result = export(name, weights(name), folder)
        assert result.exit_code == 0, result.output
        return load_backbone(str(folder / "vit.onnx"))

    return once


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height).integers(0, 256, (2, height, width, 3), dtype=np.uint8)


def run(backbone: Backbone, frames: NDArray[np.uint8]) -> Maps:
    session = onnxruntime.InferenceSession(backbone.onnx_bytes(), providers=["CPUExecutionProvider"])
    maps: Maps = session.run(["s8", "s16"], {"x": frames.transpose(0, 3, 1, 2).astype(np.float32)})
    return maps


def timms_own(name: str, frames: NDArray[np.uint8], blocks: tuple[int, int], seen: tuple[int, int]) -> Maps:
    """The normalised patch tokens that timm gives after those blocks, counted from one, of frames resized to `seen`."""
    network = timm.create_model(name, pretrained=False, dynamic_img_size=True).eval()
    network.load_state_dict(weights(name))
    mean, std = (np.array(network.pretrained_cfg[key], np.float32) for key in ("mean", "std"))
    images = torch.from_numpy(((frames / 255 - mean) / std).astype(np.float32)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        images = functional.interpolate(images, size=seen, mode="bilinear")
        indices = [number - 1 for number in blocks]
        maps = network.forward_intermediates(images, indices, norm=True, intermediates_only=True)
    return [tokens.numpy() for tokens in maps]


def doubled(field: NDArray[np.float32]) -> NDArray[np.float32]:
    enlarged = functional.interpolate(torch.from_numpy(field), scale_factor=2, mode="bilinear")
    return np.asarray(enlarged.numpy())


def close(found: Maps, wanted: Maps) -> None:
    for mine, theirs in zip(found, wanted, strict=True):
        assert theirs.std() > 0.1
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4 * max(1.0, float(np.abs(theirs).max())))


@pytest.mark.parametrize(
    ("name", "size", "seen"),
    [
        (TINY, (224, 224), (224, 224)),  # its own size: no position is interpolated
        (TINY, (96, 320), (96, 320)),
        (DINOV2, (96, 128), (84, 112)),
    ],
)
def test_tokens_at_stride_16_are_timms(
    name: str, size: tuple[int, int], seen: tuple[int, int], exported: Callable[[str], Backbone]
) -> None:
    backbone, frames = exported(name), noise(*size)

    middle, deep = timms_own(name, frames, (6, 9), seen)

    assert backbone.channels == (middle.shape[1], deep.shape[1])
    close(run(backbone, frames), [doubled(middle), deep])


def test_tokens_at_stride_8_are_timms_and_are_averaged_for_stride_16(exported: Callable[[str], Backbone]) -> None:
    frames = noise(96, 64)

    middle, deep = timms_own(FINE, frames, (6, 9), (96, 64))

    averaged = deep.reshape(2, -1, 6, 2, 4, 2).mean(axis=(3, 5))
    close(run(exported(FINE), frames), [middle, averaged])


@pytest.mark.parametrize(("name", "stride"), [(TINY, 8), (DINOV2, 16)])
def test_a_detector_on_tokens_scores_the_same_in_every_engine(
    name: str, stride: int, exported: Callable[[str], Backbone]
) -> None:
    backbone, geometry = exported(name), Geometry(height=96, width=128, aspect=128 / 96)
    features = features_graph(backbone.model, backbone.channels, geometry, stride)
    known, frame = noise(96, 128)[:, None]
    rows = [load_runtime(engine, features.SerializeToString(), 1).run(known)["features"] for engine in NAMES]
    detector = memory_graph(features, geometry, rows[0], stride=stride).SerializeToString()
    found = [load_runtime(engine, detector, 1).run(frame) for engine in NAMES]

    assert rows[0].std() > 0.1 and found[0]["heatmap"].std() > 0.1
    np.testing.assert_allclose(rows[0], rows[1], rtol=0, atol=1e-4 * float(np.abs(rows[0]).max()))
    for output in ("score", "heatmap"):
        np.testing.assert_allclose(found[0][output], found[1][output], rtol=1e-4)


def as_meta_publishes(state: State) -> State:
    """DINOv2's own names: a token for masked patches, registers called otherwise, the class token's position apart."""
    position = torch.full_like(state["cls_token"], 0.25)
    renamed = {key: value for key, value in state.items() if key != "reg_token"}
    return renamed | {
        "mask_token": torch.zeros(1, state["cls_token"].shape[2]),
        "register_tokens": state["reg_token"],
        "cls_token": state["cls_token"] - position,
        "pos_embed": torch.cat([position, state["pos_embed"]], dim=1),
    }


def test_the_file_that_meta_publishes_becomes_the_same_tokens(tmp_path: Path) -> None:
    result = export(REGISTERS, as_meta_publishes(weights(REGISTERS)), tmp_path)

    assert result.exit_code == 0, result.output
    frames = noise(64, 592)  # of its own width
    middle, deep = timms_own(REGISTERS, frames, (6, 9), (56, 518))
    close(run(load_backbone(str(tmp_path / "vit.onnx")), frames), [doubled(middle), deep])


@pytest.mark.parametrize("published", [True, False])
def test_weights_that_lack_a_tensor_are_refused(published: bool, tmp_path: Path) -> None:
    state = as_meta_publishes(weights(REGISTERS)) if published else dict(weights(REGISTERS))
    del state["blocks.3.ls1.gamma"]

    result = export(REGISTERS, state, tmp_path)

    assert result.exit_code == 1
    assert "such as blocks.3.ls1.gamma [backbone_weights]" in result.output
    assert not (tmp_path / "vit.onnx").exists()
