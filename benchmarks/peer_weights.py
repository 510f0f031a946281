"""The weights in a backbone's ONNX file, read back into the network that the peer builds, and the proof that both give
the same features. Runs under both interpreters: it needs torch, onnx and onnxruntime, nothing of ours or the peer's.

A file made by export has its BatchNorms folded into the convolutions before them. A BatchNorm that was folded becomes
one that adds the convolution's bias and changes nothing else.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

EPS = 1e-5  # of ResNet's BatchNorms
_CONVOLUTION = re.compile(r"(?:m\.)?((?:layer\d\.\d\.)?)(conv|downsample\.0|down)(\d?)\.(weight|bias)")


def resnet_state(path: Path) -> dict[str, Tensor]:
    """The state dict, in torchvision's (and timm's) names, of the ResNet in a file with folded BatchNorms."""
    state: dict[str, Tensor] = {}
    for tensor in onnx.load(path).graph.initializer:
        found = _CONVOLUTION.fullmatch(tensor.name)
        if found is None:
            continue
        block, kind, number, what = found.groups()
        convolution = f"{block}downsample.0" if kind.startswith("down") else f"{block}conv{number}"
        norm = f"{block}downsample.1" if kind.startswith("down") else f"{block}bn{number}"
        values = torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
        if what == "weight":
            state[f"{convolution}.weight"] = values
        else:
            state |= {f"{norm}.{name}": value for name, value in _adds_only(values).items()}
    if not state:
        msg = f"{path} holds no ResNet with names such as m.layer2.0.conv1.weight"
        raise ValueError(msg)
    return state


def _adds_only(bias: Tensor) -> dict[str, Tensor]:
    """A BatchNorm that gives x + bias: (x - 0) / sqrt((1 - eps) + eps) * 1 + bias."""
    one = torch.ones_like(bias)
    return {
        "weight": one,
        "bias": bias,
        "running_mean": torch.zeros_like(bias),
        "running_var": one - EPS,
        "num_batches_tracked": torch.tensor(0),
    }


def load_state(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put the weights into `network`, which may lack the last layers. Raises where it wants a tensor that is not in
    the file and comes before its second feature map, or where a tensor in the file has no place in it."""
    wanted = {name: value for name, value in network.state_dict().items() if not re.match(r"layer4\.|fc\.", name)}
    if set(wanted) != set(state):
        odd = sorted(set(wanted) ^ set(state))
        msg = f"the file and the network differ in {len(odd)} tensors, such as {odd[0]}"
        raise ValueError(msg)
    for name, value in wanted.items():
        value.copy_(state[name])


def largest_difference(path: Path, maps: Mapping[str, Tensor], images: NDArray[np.float32]) -> tuple[float, float]:
    """Of the maps `s8` and `s16` from those that the file gives for `images` `[N, 3, H, W]` 0-255, absolute; and the
    largest feature, to hold it against."""
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    given = dict(zip(("s8", "s16"), session.run(["s8", "s16"], {"x": images}), strict=True))
    difference = max(float(np.abs(maps[name].numpy() - value).max()) for name, value in given.items())
    return difference, max(float(np.abs(value).max()) for value in given.values())
