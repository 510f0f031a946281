"""An int8 graph from a package's float32 one, by NNCF's post-training quantisation.

What stays float, and why (MVTec AD capsule, 320 px, 30 to 100 calibration images, weights at full range, image AUROC in
percent on ONNX Runtime; at fp32 97.6 with EfficientNet-Lite0 and 98.3 with ResNet18):

- Everything behind the backbone, the nearest-neighbour search above all: |q|^2 + |b|^2 - 2 q.b is a small difference of
  large numbers. Quantised with the rest, every score became the same: 50.0.
- The first half of the convolutions where some are depthwise. Lite0 all in int8: 76.3; depthwise ones float: 96.6;
  second half float: 94.1; first half float: 97.6 (97.5 as it is made here, with half the weights' range). ResNet18,
  which has none, all in int8: 98.4.

Time of a frame against fp32, by turns in one run, one thread, AVX-512 with VNNI, a busy machine: ResNet18 0.83 in ONNX
Runtime and 0.33 in OpenVINO; Lite0 as it is made here 1.31 and 0.97, so that int8 is not worth it there.
"""

import contextlib
import io
import logging
import os
import sys
from collections.abc import Sequence

import onnx

from inspection.errors import InspectionError
from inspection.frames import Pixels

FEWEST, MOST = 10, 100
METHOD = "NNCF post-training quantisation, symmetric int8 weights per channel, backbone only"
_NECK = "neck/"


class QuantizerMissing(InspectionError):
    """NNCF is not installed."""

    code = "quantizer_missing"


class TooFewCalibrationImages(InspectionError):
    """Ranges from so few images would be chance."""

    code = "too_few_calibration_images"


class GraphNotQuantizable(InspectionError):
    """The package's graph is not one that can be quantised."""

    code = "graph_not_quantizable"


def quantize_graph(model: onnx.ModelProto, frames: Sequence[Pixels], *, quiet: bool = True) -> onnx.ModelProto:
    """`model` with int8 convolutions, as quantise and dequantise nodes that every engine reads.

    `frames` are model inputs `[H, W, 3]` uint8 of good units, from which the ranges of the activations are taken.
    Raises TooFewCalibrationImages, QuantizerMissing and GraphNotQuantizable.
    """
    if len(frames) < FEWEST:
        raise TooFewCalibrationImages(
            f"{len(frames)} different calibration images are too few; give at least {FEWEST} images of good units"
        )
    named = _with_named_nodes(model)
    kept = kept_float(named)
    name = named.graph.input[0].name
    os.environ["NNCF_CI"] = "1"  # or it reports to its makers over the network, without asking
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it misses a GPU that nobody asked for
    with contextlib.redirect_stdout(io.StringIO() if quiet else sys.stderr):
        try:
            import nncf
        except ImportError as error:
            raise QuantizerMissing(
                "int8 needs nncf, which is not installed; pip install 'pharma-inspection[train]'"
            ) from error
        nncf.set_log_level(logging.ERROR)
        try:
            made: onnx.ModelProto = nncf.quantize(
                named,
                nncf.Dataset([frame[None] for frame in frames], lambda frame: {name: frame}),
                subset_size=len(frames),
                target_device=nncf.TargetDevice.CPU,
                ignored_scope=nncf.IgnoredScope(names=kept),
                # Half of the weights' range stays unused: on CPUs without VNNI a full one overflows 16 bits.
                advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
            )
        except Exception as error:  # its own many types
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise GraphNotQuantizable(f"NNCF does not quantise this graph: {first}") from error
    del made.metadata_props[:]
    made.producer_name = model.producer_name
    return made


def kept_float(model: onnx.ModelProto) -> list[str]:
    """The names of the nodes that are not quantised. Raises GraphNotQuantizable for a graph without a known neck."""
    nodes = list(model.graph.node)
    behind: set[str] = set()
    kept = []
    for node in nodes:
        if any(output.startswith(_NECK) for output in node.output) or behind.intersection(node.input):
            behind.update(node.output)
            kept.append(node.name)
    convolutions = [node for node in nodes if node.op_type == "Conv" and node.name not in kept]
    if not behind or not convolutions:
        raise GraphNotQuantizable(
            "this package's graph has no convolutional backbone before its neck; only such packages can be int8"
        )
    if any(_groups(node) > 1 for node in convolutions):
        kept += [node.name for node in convolutions[: len(convolutions) // 2]]
    return kept


def _groups(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)


def _with_named_nodes(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without metadata in which each node is named after its first output, which is unique."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.metadata_props[:]
    for node in copy.graph.node:
        node.name = node.output[0]
    return copy
