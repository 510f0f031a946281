"""The backbones that come with the product, and the check that lets any other ONNX file in.

A backbone is an ONNX graph with one input, `x` float32 `[N, 3, H, W]` (RGB, 0-255; the network's own
normalisation is inside), and two outputs, `s8` and `s16` float32: its feature maps at strides 8 and 16.
N, H and W are free; H and W that are multiples of 16 fit every network.
`models/export_backbone.py` makes such files.
"""

import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from inspection.errors import InspectionError

ZOO = Path(__file__).parent / "zoo"
INPUT, OUTPUTS, STRIDES = "x", ("s8", "s16"), (8, 16)
NOT_STATED = "not stated"
_PROBE = (2, 3, 64, 96)


class UnknownBackbone(InspectionError):
    """Neither a name in the zoo nor a file."""

    code = "unknown_backbone"


class BackboneFileMissing(InspectionError):
    """The backbone's file is not there or cannot be read."""

    code = "backbone_file_missing"


class BackboneNotOnnx(InspectionError):
    """The file is not a whole ONNX model."""

    code = "backbone_not_onnx"


class BackboneInterface(InspectionError):
    """The model's inputs or outputs are not those of a backbone."""

    code = "backbone_interface"


class BackboneChanged(InspectionError):
    """The file holds other bytes than it did when it was described."""

    code = "backbone_changed"


@dataclass(frozen=True)
class Backbone:
    """A backbone file, described: `channels` and `strides` are those of `s8` and `s16`, in that order."""

    name: str
    path: Path
    sha256: str
    channels: tuple[int, int]
    licence: str
    strides: tuple[int, int] = STRIDES

    def onnx_bytes(self) -> bytes:
        """The file's bytes, exactly those of `sha256`. Raises BackboneFileMissing, BackboneChanged."""
        data = _read(self.path)
        digest = hashlib.sha256(data).hexdigest()
        if digest != self.sha256:
            raise BackboneChanged(f"{self.path} has SHA-256 {digest}; put back the one with {self.sha256}")
        return data

    @property
    def model(self) -> onnx.ModelProto:
        """A fresh copy of the graph, free to be changed and joined. Raises what `onnx_bytes` raises."""
        return onnx.load_model_from_string(self.onnx_bytes())


BACKBONES: dict[str, Backbone] = {
    "efficientnet_lite0": Backbone(
        name="efficientnet_lite0",
        path=ZOO / "efficientnet_lite0_s8_s16.onnx",
        sha256="5eb39d4744da4aebb12d45e135b0520c1e79171d92173948596dac54cd801cdb",
        channels=(40, 112),
        licence="Apache-2.0",
    ),
}


def load_backbone(name_or_path: str) -> Backbone:
    """A backbone of the zoo by name, or any ONNX file by path, which is checked by running it once.

    Raises UnknownBackbone, BackboneFileMissing, BackboneNotOnnx, BackboneInterface, BackboneChanged.
    """
    path = Path(name_or_path)
    if name_or_path in BACKBONES:
        backbone = BACKBONES[name_or_path]
        backbone.onnx_bytes()
        return backbone
    if path.suffix == "" and path.name == name_or_path and not path.exists():
        raise UnknownBackbone(_not_in_zoo(name_or_path))
    return describe_backbone(_read(path), path)


def describe_backbone(data: bytes, path: Path) -> Backbone:
    """The backbone in `data`, the content of `path`. Raises BackboneNotOnnx, BackboneInterface."""
    model = _parse(data, path)
    _check_declared(model.graph, path)
    channels = _channels_by_running(data, path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return Backbone(
        name=metadata.get("name", path.stem),
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        channels=channels,
        licence=metadata.get("licence", NOT_STATED),
    )


def _not_in_zoo(name: str) -> str:
    known = sorted(BACKBONES)
    nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known
    return f"there is no backbone {name!r}; give an ONNX file, or a name such as {', '.join(nearest)}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BackboneFileMissing(f"the backbone file {path} cannot be read ({error.strerror})") from error


def _parse(data: bytes, path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load_model_from_string(data)
        if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
            raise BackboneNotOnnx(f"{path} keeps its weights in another file; save them inside the ONNX file")
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise BackboneNotOnnx(f"{path} is not an ONNX model: {_first_line(error)}") from error
    return model


def _check_declared(graph: onnx.GraphProto, path: Path) -> None:
    """One float32 image batch of free size in, two float32 maps out."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: value for value in graph.input if value.name not in weights}
    outputs = {value.name: value for value in graph.output}
    if set(inputs) != {INPUT} or set(outputs) != set(OUTPUTS):
        raise BackboneInterface(
            f"{path} has inputs {_names(inputs)} and outputs {_names(outputs)}; "
            f"a backbone has the input {INPUT} and the outputs {', '.join(OUTPUTS)}"
        )
    for value in (inputs[INPUT], *(outputs[name] for name in OUTPUTS)):
        tensor = value.type.tensor_type
        if tensor.elem_type != onnx.TensorProto.FLOAT or len(tensor.shape.dim) != 4:
            kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
            found = f"{kind} {_shape(tensor)}"
            raise BackboneInterface(f"{value.name} of {path} is {found}; it should be FLOAT of rank 4")
    tensor = inputs[INPUT].type.tensor_type
    batch, depth, height, width = tensor.shape.dim
    if depth.dim_value != 3 or any(dim.HasField("dim_value") for dim in (batch, height, width)):
        found = _shape(tensor)
        raise BackboneInterface(f"{INPUT} of {path} is {found}; it should be [N, 3, H, W] with N, H, W free")


def _channels_by_running(data: bytes, path: Path) -> tuple[int, int]:
    """Channels of `s8` and `s16`, from two small images run through the graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    images = np.linspace(0, 255, int(np.prod(_PROBE)), dtype=np.float32).reshape(_PROBE)
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        maps: list[NDArray[np.float32]] = session.run(list(OUTPUTS), {INPUT: images})
    except Exception as error:  # the bindings raise many types of their own
        raise BackboneInterface(f"{path} fails on images {list(_PROBE)}: {_first_line(error)}") from error
    for name, stride, found in zip(OUTPUTS, STRIDES, maps, strict=True):
        count, _, height, width = _PROBE
        wanted = (count, height // stride, width // stride)
        if (found.shape[0], *found.shape[2:]) != wanted or found.shape[1] == 0:
            raise BackboneInterface(
                f"{name} of {path} is {list(found.shape)} for images {list(_PROBE)}; "
                f"it should be [{count}, C, {wanted[1]}, {wanted[2]}]"
            )
        if not np.isfinite(found).all():
            raise BackboneInterface(f"{name} of {path} is not finite everywhere; the weights are damaged")
    return maps[0].shape[1], maps[1].shape[1]


def _names(values: dict[str, onnx.ValueInfoProto]) -> str:
    return ", ".join(values) or "none"


def _shape(tensor: onnx.TypeProto.Tensor) -> str:
    return "[" + ", ".join(dim.dim_param or str(dim.dim_value or "?") for dim in tensor.shape.dim) + "]"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
