"""What routes ask for."""

from typing import Annotated

from fastapi import Depends, Path, Request

from inspection.records import Entry
from serve.problems import Problem
from serve.service import Service


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]


def _entry(service: ServiceDep, station: str, sequence: Annotated[int, Path(ge=1, lt=2**63)]) -> Entry:
    entry = service.archive.get(station, sequence)
    if entry is None:
        raise Problem(404, "record_missing", f"there is no record {station}/{sequence} in this archive")
    return entry


EntryDep = Annotated[Entry, Depends(_entry)]
