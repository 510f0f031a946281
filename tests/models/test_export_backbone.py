"""The networks behind the zoo's files, and the command that makes such files."""

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
skimage = pytest.importorskip("skimage")
safetensors = pytest.importorskip("safetensors.torch")

from inspection.preprocess import Geometry  # noqa: E402
from models import efficientnet_lite, export_backbone  # noqa: E402
from models.backbones import BACKBONES, describe_backbone, load_backbone  # noqa: E402
from models.efficientnet_lite import VARIANTS, EfficientNetLite, load_efficientnet_lite  # noqa: E402
from models.efficientnet_lite_onnx import backbone_graph  # noqa: E402
from models.graph import features_graph  # noqa: E402

PHOTOS = Path(skimage.__file__).parent / "data"


def photo(name: str, size: int) -> NDArray[np.float32]:
    """The middle of a photograph as ImageNet's test crops it, float32 `[1, 3, size, size]` RGB 0-255."""
    image = cv2.cvtColor(cv2.imread(str(PHOTOS / name)), cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
    side = min(height, width) * size // (size + 32)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    square = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
    return square.transpose(2, 0, 1)[None].astype(np.float32)


@pytest.fixture(scope="module")
def lite0() -> EfficientNetLite:
    return load_efficientnet_lite("efficientnet_lite0")


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(export_backbone.export_backbone, [str(argument) for argument in arguments])


@pytest.mark.parametrize(("height", "width"), [(96, 128), (101, 75)])
def test_the_zoo_file_gives_what_torch_gives(height: int, width: int) -> None:
    """Held against torch in float64: features reach 50, where float32 itself is off by 1e-4."""
    image = photo("astronaut.png", 128)[:, :, :height, :width]
    images = np.concatenate([image, image[..., ::-1]])
    network = load_efficientnet_lite("efficientnet_lite0").double()
    with torch.inference_mode():
        wanted = network.features(torch.from_numpy(images).double())
    session = onnxruntime.InferenceSession(BACKBONES["efficientnet_lite0"].onnx_bytes())
    for found, expected in zip(session.run(["s8", "s16"], {"x": images}), wanted, strict=True):
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("chelsea.png", {281, 282, 285}),  # tabby, tiger cat, Egyptian cat
        ("coffee.png", {967}),  # espresso
        ("camera.png", {872}),  # tripod
        ("motorcycle_left.png", {665, 670}),  # moped, motor scooter
    ],
)
def test_the_weights_name_photographs(lite0: EfficientNetLite, name: str, classes: set[int]) -> None:
    with torch.inference_mode():
        logits = lite0(torch.from_numpy(photo(name, 224)))
    assert int(logits.argmax()) in classes


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_the_network_is_timms(name: str) -> None:
    """timm wrote the same networks independently: the same tensors in the same order give the same logits."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = timm.create_model(f"tf_{name}", pretrained=False).eval()
    ours = EfficientNetLite(VARIANTS[name]).eval()
    keys = ours.state_dict().keys()
    ours.load_state_dict(dict(zip(keys, theirs.state_dict().values(), strict=True)))
    images = torch.from_numpy(photo("astronaut.png", 128)[:, :, :75])
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs((images - 127) / 128))


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_every_size_of_the_family_becomes_a_backbone(name: str, tmp_path: Path) -> None:
    """With random weights: those of Lite1 and Lite2 are in packages that tests do not install."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = EfficientNetLite(VARIANTS[name]).eval()
    data = export_backbone.finished(backbone_graph(network), {"name": name})
    assert export_backbone.largest_difference(data, network.features) <= export_backbone.TOLERANCE
    assert describe_backbone(data, tmp_path / "lite.onnx").channels == {"2": (48, 120)}.get(name[-1], (40, 112))


def test_rebuilding_the_zoo_file_gives_the_same_bytes(tmp_path: Path) -> None:
    """The weights have a known hash, and IEEE 754 fixes the arithmetic that folds them to the last bit."""
    output = tmp_path / "again.onnx"
    result = command("--zoo", "efficientnet_lite0", "--output", output)
    assert result.exit_code == 0, result.output
    assert output.read_bytes() == BACKBONES["efficientnet_lite0"].path.read_bytes()


def shaken(name: str) -> torch.nn.Module:
    """A small network in which nothing is as initialised, BatchNorm's statistics included."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network = timm.create_model(name, pretrained=False).eval()
        for value in network.state_dict().values():
            if value.is_floating_point():
                value += (value.abs().mean() + 0.01) * torch.rand_like(value)
    return network


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_timm_network_becomes_a_backbone(tmp_path: Path, suffix: str) -> None:
    network, weights, output = shaken("resnet18"), tmp_path / f"weights{suffix}", tmp_path / "resnet18.onnx"
    if suffix == ".pth":
        torch.save(network.state_dict(), weights)
    else:
        safetensors.save_file(network.state_dict(), weights)
    result = command("--timm", "resnet18", "--weights", weights, "--licence", "BSD-3", "--output", output)
    assert result.exit_code == 0, result.output

    backbone = load_backbone(str(output))
    assert (backbone.name, backbone.licence, backbone.channels) == ("resnet18", "BSD-3", (128, 256))
    metadata = {entry.key: entry.value for entry in backbone.model.metadata_props}
    assert metadata["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()

    images = np.concatenate([photo("astronaut.png", 96), photo("coffee.png", 96)])
    config = network.pretrained_cfg
    mean, std = (np.array(config[key], np.float32).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        x = torch.from_numpy((images / 255 - mean) / std)
        x = network.maxpool(network.act1(network.bn1(network.conv1(x))))
        s8 = network.layer2(network.layer1(x))
        wanted = [s8, network.layer3(s8)]
    session = onnxruntime.InferenceSession(backbone.onnx_bytes())
    for found, expected in zip(session.run(["s8", "s16"], {"x": images}), wanted, strict=True):
        peak = float(expected.abs().max())
        assert peak > 0.1
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-4 * peak)


def test_a_wide_resnet_becomes_a_backbone_whose_features_run(tmp_path: Path) -> None:
    output = tmp_path / "wide.onnx"
    result = command("--timm", "wide_resnet50_2", "--random", "1", "--output", output)
    assert result.exit_code == 0, result.output

    backbone = load_backbone(str(output))
    assert backbone.channels == (512, 1024)
    features = features_graph(backbone.model, backbone.channels, Geometry(height=64, width=96, aspect=1.5), 16)
    frames = photo("coffee.png", 96)[:, :, :64].transpose(0, 2, 3, 1).astype(np.uint8)
    rows = onnxruntime.InferenceSession(features.SerializeToString()).run(["features"], {"frames": frames})[0]
    assert rows.shape == (4 * 6, 512 + 1024)
    assert np.isfinite(rows).all() and (rows.std(axis=0) > 0).mean() > 0.5


def test_a_flattening_extractor_and_tensorflow_padding_come_through(tmp_path: Path) -> None:
    output = tmp_path / "lite0.onnx"
    result = command("--timm", "tf_efficientnet_lite0", "--random", "1", "--output", output)
    assert result.exit_code == 0, result.output
    images = photo("coffee.png", 128)[:, :, :101, :75]
    session = onnxruntime.InferenceSession(load_backbone(str(output)).onnx_bytes())
    assert [value.shape[2:] for value in session.run(None, {"x": images})] == [(13, 10), (7, 5)]


def refused(result: Result, code: str, folder: Path, before: set[Path]) -> None:
    """One sentence with its code, and a folder as it was."""
    assert result.exit_code == 1, result.output
    assert result.output.startswith("Error: ")
    assert result.output.endswith(f"[{code}]\n")
    assert result.output.count("\n") == 1
    assert set(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--zoo", "efficientnet"], "unknown_backbone"),
        (["--timm", "resnet1", "--random", "0"], "unknown_backbone"),
        (["--timm", "deit_tiny_distilled_patch16_224", "--random", "0"], "backbone_unfit"),
        (["--timm", "resnet18"], "bad_usage"),
        (["--timm", "resnet18", "--random", "0", "--pretrained"], "bad_usage"),
        (["--timm", "resnet18", "--zoo", "efficientnet_lite0"], "bad_usage"),
        (["--zoo", "efficientnet_lite0", "--random", "0"], "bad_usage"),
        ([], "bad_usage"),
        (["--timm", "resnet18", "--weights", "gone.pth"], "backbone_weights"),
    ],
)
def test_what_cannot_be_exported_is_refused(tmp_path: Path, arguments: list[str], code: str) -> None:
    refused(command(*arguments, "--output", tmp_path / "out.onnx"), code, tmp_path, set())


@pytest.mark.parametrize("content", ["another network", "garbage"])
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, content: str) -> None:
    weights = tmp_path / "weights.pth"
    if content == "garbage":
        weights.write_bytes(b"not weights")
    else:
        state = timm.create_model("resnet18", pretrained=False).state_dict()
        state["layer9.weight"] = state.pop("layer3.0.conv1.weight")
        torch.save(state, weights)
    result = command("--timm", "resnet18", "--weights", weights, "--output", tmp_path / "out.onnx")
    refused(result, "backbone_weights", tmp_path, {weights})


@pytest.mark.parametrize(
    "change",
    [{"weights_sha256": "0" * 64}, {"package": "a-package-nobody-installed"}, {"package": "click"}],
    ids=["other bytes", "not installed", "no weights inside"],
)
def test_a_wrong_weights_package_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
) -> None:
    variant = replace(VARIANTS["efficientnet_lite0"], **change)
    monkeypatch.setitem(efficientnet_lite.VARIANTS, "efficientnet_lite0", variant)
    result = command("--zoo", "efficientnet_lite0", "--output", tmp_path / "out.onnx")
    refused(result, "backbone_weights", tmp_path, set())


def test_a_graph_unlike_torch_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    biased = BACKBONES["efficientnet_lite0"].model
    bias = next(tensor for tensor in biased.graph.initializer if tensor.name == "block9/project/bias")
    bias.raw_data = (np.frombuffer(bias.raw_data, np.float32) + np.float32(0.05)).tobytes()
    monkeypatch.setattr("models.efficientnet_lite_onnx.backbone_graph", lambda _network: biased)
    result = command("--zoo", "efficientnet_lite0", "--output", tmp_path / "out.onnx")
    refused(result, "backbone_mismatch", tmp_path, set())


def test_an_existing_file_is_kept_unless_told(tmp_path: Path) -> None:
    output = tmp_path / "out.onnx"
    output.write_bytes(b"precious")
    arguments = ["--zoo", "efficientnet_lite0", "--output", output]
    refused(command(*arguments), "output_exists", tmp_path, {output})
    assert output.read_bytes() == b"precious"
    assert command(*arguments, "--overwrite").exit_code == 0
    assert load_backbone(str(output)).channels == (40, 112)


def test_an_output_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    result = command("--zoo", "efficientnet_lite0", "--output", tmp_path / "nowhere" / "out.onnx")
    refused(result, "output_not_writable", tmp_path, set())
