"""Triggers, in a plain registry: one file and one line here for a new kind."""

from pathlib import Path

from inspection.config import ConfigInvalid, validate
from inspection.recipe import TriggerConfig
from serve.triggers.encoder import EncoderTrigger
from serve.triggers.modbus_bit import ModbusBitTrigger
from serve.triggers.software import SoftwareTrigger
from serve.triggers.timer import TimerTrigger
from serve.triggers.trigger import Trigger, Triggered, TriggerFault, TriggerUnavailable

TRIGGERS: dict[str, type[Trigger]] = {
    "encoder": EncoderTrigger,
    "modbus_bit": ModbusBitTrigger,
    "software": SoftwareTrigger,
    "timer": TimerTrigger,
}


def open_trigger(config: TriggerConfig, recipe_file: Path) -> Trigger:
    """The trigger a recipe asks for. Raises ConfigInvalid for wrong options, TriggerUnavailable where it is not
    there."""
    where = f"{recipe_file}: trigger"
    if config.kind not in TRIGGERS:
        raise ConfigInvalid(f"{where}: there is no kind {config.kind!r}; choose one of {', '.join(sorted(TRIGGERS))}")
    kind = TRIGGERS[config.kind]
    return kind(validate(config.options, kind.Options, f"{where} ({config.kind})"), recipe_file.parent)


__all__ = ["TRIGGERS", "Trigger", "TriggerFault", "TriggerUnavailable", "Triggered", "open_trigger"]
