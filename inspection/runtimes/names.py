"""The names a person may give: apart from the engines, so that asking for help loads none."""

from typing import Literal, get_args

RuntimeName = Literal["auto", "onnxruntime", "openvino"]
AUTO: RuntimeName = "auto"
NAMES = tuple(name for name in get_args(RuntimeName) if name != AUTO)
