"""The runtime core: everything a station needs to inspect a unit and to account for it. No torch, no web framework."""

import os
import sys

__version__ = "0.1.0"

# Nothing reaches out at run time. Both runtimes report to their makers unless they are kept from it before they are
# imported: ONNX Runtime by this setting, OpenVINO by not finding what it reports with.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
