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


def _own_page(request: Request) -> None:
    """A browser may post a form to any address: only this station's own pages, and programs, may change something."""
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Problem(
            403, "cross_site", "another site's page may not have units inspected here; use this station's own"
        )


own_page = Depends(_own_page)


def _entry(service: ServiceDep, station: str, sequence: Annotated[int, Path(ge=1, lt=2**63)]) -> Entry:
    entry = service.archive.get(station, sequence)
    if entry is None:
        raise Problem(404, "record_missing", f"there is no record {station}/{sequence} in this archive")
    return entry


EntryDep = Annotated[Entry, Depends(_entry)]
