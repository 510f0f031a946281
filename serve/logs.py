"""The service's log: one line for each event, JSON for machines or text for people, on standard error.

Libraries that log as Python does (uvicorn, asyncua, …) come out in the same shape. Every unit's whole story is in the
archive; the log is for whoever keeps the machine running.
"""

import logging
import sys
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["json", "text"]
_LOGGER = logging.getLogger("inspection")
_FIELDS = "inspection_fields"  # where an event's fields travel on Python's own log record


def log(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event with what belongs to it. Nothing is written before `configure`, but for warnings as text."""
    _LOGGER.log(level, event, extra={_FIELDS: fields})


def configure(log_format: LogFormat) -> None:
    """Send all logs of this process to standard error; of other libraries what is a warning or worse."""
    first: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _add_fields,
    ]
    last: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if log_format == "json":
        last += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    else:
        last += [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), timestamp_key="time")]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=last, foreign_pre_chain=first))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _LOGGER.setLevel(logging.INFO)


def _add_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    return {**event, **getattr(record, _FIELDS, {})}
