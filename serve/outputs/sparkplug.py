"""Sparkplug B payloads: the fields of the specification's Protocol Buffers schema that we use, and our metrics."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from inspection.verdict import Outcome
from serve.outputs.output import Signal, StationState

NAMESPACE = "spBv1.0"
Value = bool | int | float | str | None


class Kind(IntEnum):
    """Data types of metrics, by their numbers in the specification."""

    INT64 = 4
    UINT64 = 8
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12


@dataclass(frozen=True)
class Metric:
    """One named value; None is sent as null."""

    name: str
    kind: Kind
    value: Value


@dataclass(frozen=True)
class Payload:
    """What one message holds: its number in the session (None in a death), and its metrics."""

    sequence: int | None
    metrics: dict[str, Value]


class NotSparkplug(ValueError):
    """The bytes are no payload."""


_FIELD = descriptor_pb2.FieldDescriptorProto
# (name, number, type) as in the specification. Unknown fields of others' payloads are skipped when they are read.
_METRIC = [
    ("name", 1, _FIELD.TYPE_STRING),
    ("timestamp", 3, _FIELD.TYPE_UINT64),
    ("datatype", 4, _FIELD.TYPE_UINT32),
    ("is_null", 7, _FIELD.TYPE_BOOL),
]
_VALUES = [
    ("int_value", 10, _FIELD.TYPE_UINT32),
    ("long_value", 11, _FIELD.TYPE_UINT64),
    ("float_value", 12, _FIELD.TYPE_FLOAT),
    ("double_value", 13, _FIELD.TYPE_DOUBLE),
    ("boolean_value", 14, _FIELD.TYPE_BOOL),
    ("string_value", 15, _FIELD.TYPE_STRING),
]
_FIELD_OF_KIND = {
    Kind.INT64: "long_value",
    Kind.UINT64: "long_value",
    Kind.DOUBLE: "double_value",
    Kind.BOOLEAN: "boolean_value",
    Kind.STRING: "string_value",
}


_UNIT = {
    "number": ("Number", Kind.UINT64),
    "unit": ("Id", Kind.STRING),
    "outcome": ("Outcome", Kind.STRING),
    "reason": ("Reason", Kind.STRING),
    "score": ("Score", Kind.DOUBLE),
    "opened_at": ("OpenedAt", Kind.STRING),
    "record": ("Record", Kind.STRING),
}
_STATION = ("station", "recipe", "product", "batch", "package", "state")


def _message() -> Any:
    """The class of the payload message, which exists only at run time."""
    file = descriptor_pb2.FileDescriptorProto(name="sparkplug_b.proto", package="sparkplug_b", syntax="proto2")
    payload = file.message_type.add(name="Payload")
    metric = payload.nested_type.add(name="Metric")
    metric.oneof_decl.add(name="value")
    for name, number, kind in _METRIC:
        metric.field.add(name=name, number=number, type=kind, label=_FIELD.LABEL_OPTIONAL)
    for name, number, kind in _VALUES:
        metric.field.add(name=name, number=number, type=kind, label=_FIELD.LABEL_OPTIONAL, oneof_index=0)
    payload.field.add(name="timestamp", number=1, type=_FIELD.TYPE_UINT64, label=_FIELD.LABEL_OPTIONAL)
    payload.field.add(
        name="metrics",
        number=2,
        type=_FIELD.TYPE_MESSAGE,
        label=_FIELD.LABEL_REPEATED,
        type_name=".sparkplug_b.Payload.Metric",
    )
    payload.field.add(name="seq", number=3, type=_FIELD.TYPE_UINT64, label=_FIELD.LABEL_OPTIONAL)
    # A pool of our own: another schema of the same name in the process does no harm.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sparkplug_b.Payload"))


_PAYLOAD = _message()


def encode(metrics: Iterable[Metric], sequence: int | None, time_ms: int) -> bytes:
    """A payload; `sequence` is 0 to 255, None in a death; `time_ms` counts from 1970, UTC."""
    payload = _PAYLOAD(timestamp=time_ms)
    if sequence is not None:
        payload.seq = sequence
    for metric in metrics:
        added = payload.metrics.add(name=metric.name, timestamp=time_ms, datatype=int(metric.kind))
        if metric.value is None:
            added.is_null = True
        else:
            setattr(added, _FIELD_OF_KIND[metric.kind], metric.value)
    return bytes(payload.SerializeToString())


def decode(data: bytes) -> Payload:
    """What a payload says; metrics without a name or with a value of another sort are left out. Raises NotSparkplug."""
    payload = _PAYLOAD()
    try:
        payload.ParseFromString(data)
    except DecodeError as error:
        raise NotSparkplug(str(error)) from error
    metrics: dict[str, Value] = {}
    for metric in payload.metrics:
        field = metric.WhichOneof("value")
        if metric.name and (field or metric.is_null):
            metrics[metric.name] = getattr(metric, field) if field else None
    return Payload(payload.seq if payload.HasField("seq") else None, metrics)


def unit_metrics(signal: Signal | None) -> list[Metric]:
    """The metrics of a unit, all null where there was none yet."""
    fields = signal.fields() if signal else {}
    return [Metric(f"Unit/{name}", kind, fields.get(key)) for key, (name, kind) in _UNIT.items()]


def station_metrics(state: StationState) -> list[Metric]:
    """The metrics of a station; alarms are JSON text."""
    fields = state.fields()
    counts = [Metric(f"Counts/{key}", Kind.UINT64, state.counts.get(key, 0)) for key in ("units", *Outcome)]
    texts = [Metric(f"Station/{key.capitalize()}", Kind.STRING, fields[key]) for key in _STATION]
    return [*texts, Metric("Station/Alarms", Kind.STRING, json.dumps(fields["alarms"])), *counts]
