"""Outputs, in a plain registry: one file and one line here for a new kind."""

from pathlib import Path

from inspection.config import ConfigInvalid, validate
from inspection.recipe import OutputConfig
from serve.outputs.gpio import GpioOutput
from serve.outputs.modbus import ModbusOutput
from serve.outputs.mqtt import MqttOutput
from serve.outputs.opcua import OpcUaOutput
from serve.outputs.output import Alarm, Output, OutputFault, OutputUnavailable, Signal, StationState
from serve.outputs.webhook import WebhookOutput

OUTPUTS: dict[str, type[Output]] = {
    "gpio": GpioOutput,
    "modbus": ModbusOutput,
    "mqtt": MqttOutput,
    "opcua": OpcUaOutput,
    "webhook": WebhookOutput,
}


def open_output(config: OutputConfig, recipe_file: Path, state: StationState) -> Output:
    """The output a recipe asks for, open and showing `state`. Raises ConfigInvalid for wrong options, OutputUnavailable
    where it cannot be opened."""
    output = make_output(config, recipe_file)
    output.open(state)
    return output


def make_output(config: OutputConfig, recipe_file: Path) -> Output:
    """The same, not open yet: the thread that will use it opens it. Raises ConfigInvalid."""
    where = f"{recipe_file}: output {config.name!r}"
    if config.kind not in OUTPUTS:
        raise ConfigInvalid(f"{where}: there is no kind {config.kind!r}; choose one of {', '.join(sorted(OUTPUTS))}")
    kind = OUTPUTS[config.kind]
    return kind(config.name, validate(config.options, kind.Options, f"{where} ({config.kind})"), recipe_file.parent)


__all__ = [
    "OUTPUTS",
    "Alarm",
    "Output",
    "OutputFault",
    "OutputUnavailable",
    "Signal",
    "StationState",
    "make_output",
    "open_output",
]
