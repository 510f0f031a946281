"""The address space of the OPC UA server: which nodes there are, and what they say of a unit and of a station.

Browse names and their meaning follow OPC 40100-1 (Machine Vision) where it has such a thing; README says where not.
"""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError

from inspection.verdict import SHOWN, Outcome
from serve.outputs.output import OUTCOME_NUMBERS, Signal, StationState

NAMESPACE = "urn:pharma-inspection:vision-system"
_MACHINE, _AUTOMATIC = "VisionStateMachine", "VisionStateMachine/AutomaticModeStateMachine"
_RESULT, _STATION = "ResultManagement/Result", "Station"
ACKNOWLEDGED = f"{_RESULT}/AcknowledgedNumber"
PASS = f"{_RESULT}/Pass"
NUMBER = f"{_RESULT}/Number"
HEARTBEAT = f"{_STATION}/Heartbeat"
# ResultStateDataType, clause 12.19.
_UNDEFINED, _COMPLETED, _FAILED = 0, 1, 4
# Station state: the states of VisionStateMachineType and of AutomaticModeStateMachine.
_STATES = {
    "ready": ("Operational", "Ready"),
    "running": ("Operational", "ContinuousExecution"),
    "stopped": ("Halted", ""),
    "failed": ("Error", ""),
    "changeover": ("Preoperational", ""),
    "off": ("Halted", ""),
}
_COUNTS = {"units": "Units", Outcome.PASS: "Passed", Outcome.REVIEW: "Review", Outcome.REJECT: "Rejected"}

# A Double and a DateTime have no null of their own.
_NO_SCORE = math.nan
_NO_TIME = datetime(1601, 1, 1, tzinfo=UTC)

Values = dict[str, Any]
_TYPES: dict[str, ua.VariantType] = {
    f"{_MACHINE}/CurrentState": ua.VariantType.LocalizedText,
    f"{_AUTOMATIC}/CurrentState": ua.VariantType.LocalizedText,
    f"{_STATION}/Name": ua.VariantType.String,
    f"{_STATION}/State": ua.VariantType.String,
    f"{_STATION}/InternalRecipeId": ua.VariantType.String,
    f"{_STATION}/ProductId": ua.VariantType.String,
    f"{_STATION}/Batch": ua.VariantType.String,
    f"{_STATION}/Package": ua.VariantType.String,
    f"{_STATION}/AlarmCount": ua.VariantType.UInt32,
    f"{_STATION}/Alarms": ua.VariantType.String,
    HEARTBEAT: ua.VariantType.UInt32,
    **{f"{_STATION}/{name}": ua.VariantType.UInt32 for name in _COUNTS.values()},
    PASS: ua.VariantType.Boolean,
    f"{_RESULT}/Outcome": ua.VariantType.String,
    f"{_RESULT}/OutcomeNumber": ua.VariantType.Byte,
    f"{_RESULT}/Reason": ua.VariantType.String,
    f"{_RESULT}/Score": ua.VariantType.Double,
    f"{_RESULT}/PartId": ua.VariantType.String,
    f"{_RESULT}/ResultId": ua.VariantType.String,
    f"{_RESULT}/ResultState": ua.VariantType.Int32,
    f"{_RESULT}/CreationTime": ua.VariantType.DateTime,
    f"{_RESULT}/IsPartial": ua.VariantType.Boolean,
    f"{_RESULT}/InternalRecipeId": ua.VariantType.String,
    f"{_RESULT}/ProductId": ua.VariantType.String,
    f"{_RESULT}/JobId": ua.VariantType.String,
    f"{_RESULT}/ResultContent": ua.VariantType.String,
    ACKNOWLEDGED: ua.VariantType.UInt32,
    # Last of all: whoever is told of a new number finds the rest in place.
    NUMBER: ua.VariantType.UInt32,
}


def station_values(state: StationState) -> Values:
    """What the nodes say of a station. Nothing is permitted where it does not run."""
    machine, automatic = _STATES.get(state.state, ("Preoperational", ""))
    values: Values = {
        f"{_MACHINE}/CurrentState": ua.LocalizedText(machine),
        f"{_AUTOMATIC}/CurrentState": ua.LocalizedText(automatic),
        f"{_STATION}/Name": state.station,
        f"{_STATION}/State": state.state,
        f"{_STATION}/InternalRecipeId": state.recipe,
        f"{_STATION}/ProductId": state.product,
        f"{_STATION}/Batch": state.batch,
        f"{_STATION}/Package": state.package,
        f"{_STATION}/AlarmCount": len(state.alarms),
        f"{_STATION}/Alarms": json.dumps(state.fields()["alarms"]),
        **{f"{_STATION}/{name}": state.counts.get(key, 0) % 2**32 for key, name in _COUNTS.items()},
    }
    return values if state.running else {PASS: False} | values


def unit_values(signal: Signal, state: StationState) -> Values:
    """What the nodes say of a unit, inspected as `state` says."""
    fields = signal.fields()
    return {
        f"{_RESULT}/Outcome": signal.outcome.value,
        f"{_RESULT}/OutcomeNumber": OUTCOME_NUMBERS[signal.outcome],
        f"{_RESULT}/Reason": signal.reason.value,
        f"{_RESULT}/Score": _NO_SCORE if fields["score"] is None else fields["score"],
        f"{_RESULT}/PartId": signal.unit,
        f"{_RESULT}/ResultId": signal.record,
        f"{_RESULT}/ResultState": _COMPLETED if signal.reason in SHOWN else _FAILED,
        f"{_RESULT}/CreationTime": _utc(signal.opened_at),
        f"{_RESULT}/IsPartial": False,
        f"{_RESULT}/InternalRecipeId": state.recipe,
        f"{_RESULT}/ProductId": state.product,
        f"{_RESULT}/JobId": state.batch,
        f"{_RESULT}/ResultContent": json.dumps(fields),
        PASS: signal.outcome is Outcome.PASS,
        NUMBER: signal.number % 2**32,
    }


def no_unit() -> Values:
    """What the nodes say before the first unit, and when the server goes: rejected."""
    return {
        PASS: False,
        f"{_RESULT}/Outcome": Outcome.REJECT.value,
        f"{_RESULT}/OutcomeNumber": OUTCOME_NUMBERS[Outcome.REJECT],
        f"{_RESULT}/ResultState": _UNDEFINED,
    }


@dataclass(frozen=True)
class Model:
    """The nodes of a server, by path below `VisionSystem`."""

    server: Server
    nodes: dict[str, Node]

    async def write(self, values: Values) -> None:
        """Write values in their order. Raises UaError where one is refused."""
        space = self.server.iserver.aspace
        now = ua.DateTime.now(UTC)
        for path, value in values.items():
            variant = ua.Variant(value, _TYPES[path])
            written = ua.DataValue(variant, SourceTimestamp=now, ServerTimestamp=now)
            # Not by the server's own method: that one does not say whether the value was taken.
            status = await space.write_attribute_value(self.nodes[path].nodeid, AttributeIds.Value, written)
            if not status.is_good():
                raise UaError(f"{path} does not take {value!r}: {status.name}")


async def build_model(server: Server) -> Model:
    """Make the nodes below Objects/VisionSystem. Node ids are text: `s=VisionSystem/` and the path."""
    index = await server.register_namespace(NAMESPACE)
    root = "VisionSystem"
    objects = {"": await server.nodes.objects.add_object(f"ns={index};s={root}", f"{index}:{root}")}
    nodes: dict[str, Node] = {}
    for path, kind in _TYPES.items():
        folder, _, name = path.rpartition("/")
        place = ""
        for part in folder.split("/"):
            parent, place = place, f"{place}/{part}".lstrip("/")
            if place not in objects:
                objects[place] = await objects[parent].add_object(f"ns={index};s={root}/{place}", f"{index}:{part}")
        first = ua.get_default_value(kind)
        nodes[path] = await objects[place].add_variable(
            f"ns={index};s={root}/{path}", f"{index}:{name}", first, varianttype=kind
        )
    return Model(server, nodes)


def _utc(text: str) -> datetime:
    """The time in a text; OPC UA's null where it is none, as a time must not cost a unit its signal."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return _NO_TIME
