"""What routes ask for: the service, who asks, and that they may."""

from typing import Annotated, Any

from fastapi import Depends, Path, Request

from inspection.accounts.roles import Permission
from inspection.accounts.sign_in import Session
from inspection.archive import Archive
from inspection.records import Entry
from serve.authentication import Authentication, Who, address_of, asked_for, own_page
from serve.problems import Problem
from serve.service import Service

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _authentication(request: Request) -> Authentication:
    found: Authentication = request.app.state.authentication
    return found


ServiceDep = Annotated[Service, Depends(_service)]
AuthenticationDep = Annotated[Authentication, Depends(_authentication)]


def _archive(service: ServiceDep) -> Archive:
    return service.archive


ArchiveDep = Annotated[Archive, Depends(_archive)]
AddressDep = Annotated[str, Depends(address_of)]


class Allowed:
    """A route's dependency: who asks must have the permission. Every route has one, or is in `serve.app.OPEN`."""

    def __init__(self, permission: Permission | None) -> None:
        self.permission = permission

    def __call__(self, request: Request, authentication: AuthenticationDep) -> Who:
        """Who asks. Raises Problem 401 for nobody known, 403 for somebody who may not or must change their password."""
        what = asked_for(request)
        if request.method not in _SAFE:
            own_page(request)
        who = authentication.who(request)
        if who is None:
            authentication.refusals.note("somebody unknown", what, "not signed in", address_of(request))
            raise Problem(401, "not_signed_in", "sign in, or send a token that is worth something")
        if who.session and who.session.must_change and self.permission is not None:
            authentication.refusals.note(who.name, what, "must change the password first", address_of(request))
            raise Problem(403, "password_expired", "change your password first")
        if self.permission is not None and self.permission not in who.permissions:
            authentication.refusals.note(who.name, what, f"may not {self.permission}", address_of(request))
            raise Problem(403, "not_permitted", f"{who.name} may not do this: it needs permission to {self.permission}")
        return who


def allow(permission: Permission | None) -> Any:
    """The dependency of a route whose function does not need to know who asks; None: anybody who is known."""
    return Depends(Allowed(permission))


def _session(who: Annotated[Who, Depends(Allowed(None))]) -> Session:
    if who.session is None:
        raise Problem(403, "not_a_person", "this is for people who have signed in, not for tokens")
    return who.session


SessionDep = Annotated[Session, Depends(_session)]


def _entry(archive: ArchiveDep, station: str, sequence: Annotated[int, Path(ge=1, lt=2**63)]) -> Entry:
    entry = archive.get(station, sequence)
    if entry is None:
        raise Problem(404, "record_missing", f"there is no record {station}/{sequence} in this archive")
    return entry


EntryDep = Annotated[Entry, Depends(_entry)]
