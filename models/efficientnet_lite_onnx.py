"""EfficientNet-Lite as an ONNX graph, written node by node.

A tracing exporter's graph changes with the exporter's version; this one depends on the weights alone, so the
zoo's file can be rebuilt byte for byte. BatchNorm is folded into the convolutions in float64; TensorFlow's
"SAME" padding is the operator's own `auto_pad`, right at every image size.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.backbones import INPUT, OUTPUTS, STRIDES
from models.efficientnet_lite import IMAGE_MEAN, IMAGE_SCALE, Block, ConvNorm, EfficientNetLite

IR_VERSION, OPSET = 8, 17


def backbone_graph(network: EfficientNetLite) -> onnx.ModelProto:
    """`network` up to stride 16: `x` float32 `[N, 3, H, W]` RGB 0-255 in, `s8` and `s16` out."""
    graph = _GraphBuilder()
    value = graph.node("Sub", "normalise/centred", INPUT, graph.constant("normalise/mean", IMAGE_MEAN))
    value = graph.node("Div", "normalise/scaled", value, graph.constant("normalise/scale", IMAGE_SCALE))
    value = graph.conv_norm("stem", value, network.stem)
    blocks = network.block_list()
    cuts = {network.blocks_to(stride): name for stride, name in zip(STRIDES, OUTPUTS, strict=True)}
    for count, block in enumerate(blocks[: max(cuts)], start=1):
        value = graph.block(f"block{count}", value, block, cuts.get(count))
    return graph.finish([blocks[count - 1].project.conv.out_channels for count in cuts])


class _GraphBuilder:
    """Nodes and weights in the order they are added; each method returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[TensorProto] = []
        self.relu6 = [self.constant("relu6/low", 0.0), self.constant("relu6/high", 6.0)]

    def constant(self, name: str, value: float | NDArray[np.float64]) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def node(self, operator: str, output: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, list(inputs), [output], output, **attributes))
        return output

    def conv_norm(self, name: str, x: str, layer: ConvNorm, output: str | None = None) -> str:
        weight, bias = folded(layer)
        kernel, stride = list(layer.conv.kernel_size), list(layer.conv.stride)
        x = self.node(
            "Conv", output or f"{name}/conv",
            x, self.constant(f"{name}/weight", weight), self.constant(f"{name}/bias", bias),
            kernel_shape=kernel, strides=stride, group=layer.conv.groups, auto_pad="SAME_UPPER",
        )  # fmt: skip
        return self.node("Clip", f"{name}/relu6", x, *self.relu6) if layer.relu else x

    def block(self, name: str, x: str, block: Block, output: str | None) -> str:
        """`output` names the block's result, where it is one of the graph's own outputs."""
        y = x if block.expand is None else self.conv_norm(f"{name}/expand", x, block.expand)
        y = self.conv_norm(f"{name}/depthwise", y, block.depthwise)
        y = self.conv_norm(f"{name}/project", y, block.project, None if block.shortcut else output)
        return self.node("Add", output or f"{name}/sum", x, y) if block.shortcut else y

    def finish(self, channels: list[int]) -> onnx.ModelProto:
        float32 = TensorProto.FLOAT
        inputs = [helper.make_tensor_value_info(INPUT, float32, ["N", 3, "H", "W"])]
        outputs = [
            helper.make_tensor_value_info(name, float32, ["N", depth, f"h{name[1:]}", f"w{name[1:]}"])
            for name, depth in zip(OUTPUTS, channels, strict=True)
        ]
        graph = helper.make_graph(self.nodes, "backbone", inputs, outputs, self.weights)
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, ir_version=IR_VERSION, opset_imports=opset)


def folded(layer: ConvNorm) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight `[O, I, k, k]` and bias `[O]` of one convolution that equals the layer before its ReLU6."""
    norm = layer.norm
    gamma, beta, mean, variance, weight = (
        tensor.detach().double().numpy()
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var, layer.conv.weight)
        if tensor is not None
    )
    scale = gamma / np.sqrt(variance + norm.eps)
    return weight * scale[:, None, None, None], beta - mean * scale
