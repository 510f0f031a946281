"""A graph as a torch network, to be trained further, and back: it stays node for node and only its weights change.
Nothing is exported, so nothing can differ but the rounding."""

from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from inspection.errors import InspectionError

Attributes = dict[str, Any]


class BackboneNotTrainable(InspectionError):
    """A backbone with operators that have no twin in torch here."""

    code = "backbone_not_trainable"


class TorchGraph(nn.Module):
    """The first output of a graph with one input. What its convolutions hold are the parameters.

    Raises BackboneNotTrainable.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        self._model, graph = model, model.graph
        unknown = sorted({node.op_type for node in graph.node} - set(_OPERATORS))
        if unknown:
            raise BackboneNotTrainable(
                f"the backbone computes {', '.join(unknown)}, which cannot be trained here; leave --epochs out, or "
                "choose a convolutional one and at most 1024 x 1024 pixels"
            )
        unlike = sorted({node.op_type for node in graph.node if not _as_here(node)})
        if unlike:
            raise BackboneNotTrainable(
                f"the backbone computes {', '.join(unlike)} in a way that cannot be trained here; leave --epochs out"
            )
        learnt = {name for node in graph.node if node.op_type == "Conv" for name in node.input[1:]}
        self._input, self._output = graph.input[0].name, graph.output[0].name
        self._learnt: list[str] = []
        self._fixed: list[str] = []
        self.weights = nn.ParameterList()
        for initializer in graph.initializer:
            value = torch.from_numpy(numpy_helper.to_array(initializer).copy())
            if initializer.name in learnt:
                self._learnt.append(initializer.name)
                self.weights.append(nn.Parameter(value))
            else:
                self.register_buffer(f"constant{len(self._fixed)}", value)
                self._fixed.append(initializer.name)
        self._nodes = [
            (
                node.op_type,
                list(node.input),
                node.output[0],
                {a.name: helper.get_attribute_value(a) for a in node.attribute},
            )
            for node in graph.node
        ]

    def forward(self, value: Tensor) -> Tensor:
        values: dict[str, Tensor] = {self._input: value} | dict(zip(self._learnt, self.weights, strict=True))
        values |= {name: getattr(self, f"constant{place}") for place, name in enumerate(self._fixed)}
        for kind, inputs, output, attributes in self._nodes:
            values[output] = _OPERATORS[kind](attributes, *(values[name] if name else None for name in inputs))
        return values[self._output]

    def model(self) -> onnx.ModelProto:
        """The graph with the weights as they are now."""
        changed = onnx.ModelProto()
        changed.CopyFrom(self._model)
        weights = dict(zip(self._learnt, self.weights, strict=True))
        for initializer in changed.graph.initializer:
            if initializer.name in weights:
                array = weights[initializer.name].detach().cpu().numpy()
                initializer.CopyFrom(numpy_helper.from_array(array, initializer.name))
        return changed


def _as_here(node: onnx.NodeProto) -> bool:
    """Whether a node does what its operator below does: some of their options are not known there."""
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    match node.op_type:
        case "AveragePool":
            padded = any(given.get("pads", [])) or given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
            return not (padded or given.get("ceil_mode") or set(given.get("dilations", [])) - {1})
        case "MaxPool":
            return not set(given.get("dilations", [])) - {1}
        case "Cast":
            return bool(given["to"] == onnx.TensorProto.FLOAT)
        case _:
            return True


def _conv(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    stride, dilation = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    reach = [step * (size - 1) + 1 for step, size in zip(dilation, weight.shape[2:], strict=True)]
    x = functional.pad(x, _padding(attributes, x, reach, stride))
    return functional.conv2d(x, weight, bias, tuple(stride), 0, tuple(dilation), attributes.get("group", 1))


def _max_pool(attributes: Attributes, x: Tensor) -> Tensor:
    size, stride = attributes["kernel_shape"], attributes.get("strides", [1, 1])
    x = functional.pad(x, _padding(attributes, x, size, stride), value=float("-inf"))
    return functional.max_pool2d(x, size, stride, ceil_mode=bool(attributes.get("ceil_mode", 0)))


def _average_pool(attributes: Attributes, x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, attributes["kernel_shape"], attributes.get("strides", [1, 1]))


def _padding(attributes: Attributes, x: Tensor, reach: list[int], stride: list[int]) -> list[int]:
    """Left, right, top, bottom."""
    kind = attributes.get("auto_pad", b"NOTSET")
    if kind not in (b"SAME_UPPER", b"SAME_LOWER"):
        top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
        return [left, right, top, bottom]
    sides = []
    for length, size, step in zip(x.shape[2:], reach, stride, strict=True):
        whole = max(0, (-(-length // step) - 1) * step + size - length)
        halves = [whole // 2, whole - whole // 2]
        sides.append(halves if kind == b"SAME_UPPER" else halves[::-1])
    return [*sides[1], *sides[0]]


def _clip(_: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    return torch.clamp(x, low, high)


_OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Add": lambda _, a, b: a + b,
    "AveragePool": _average_pool,
    "Cast": lambda _, x: x.float(),
    "Clip": _clip,
    "Concat": lambda attributes, *parts: torch.cat(parts, dim=attributes["axis"]),
    "Conv": _conv,
    "Div": lambda _, a, b: a / b,
    "GlobalAveragePool": lambda _, x: x.mean((2, 3), keepdim=True),
    "Identity": lambda _, x: x,
    "MaxPool": _max_pool,
    "Mul": lambda _, a, b: a * b,
    "Relu": lambda _, x: functional.relu(x),
    "Sigmoid": lambda _, x: torch.sigmoid(x),
    "Sub": lambda _, a, b: a - b,
    "Transpose": lambda attributes, x: x.permute(attributes["perm"]),
}
