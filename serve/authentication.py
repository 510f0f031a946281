"""Who asks: a person with a session, or a machine with a token. Whoever is neither is refused, on the audit trail."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request

from inspection.accounts.roles import Permission
from inspection.accounts.sign_in import Session, SignIn
from inspection.accounts.tokens import Token, find_token
from inspection.accounts.users import Clock, utc_now
from inspection.archive import Archive
from inspection.audit import audit_draft, record_audit
from inspection.errors import InspectionError
from serve.problems import Problem

_TOKEN_CACHE_S = 5.0  # a revoked token is worth nothing after that at the latest
_REPEATED_S = 60.0
_MOST_NOTED = 1000


@dataclass(frozen=True)
class Who:
    """Somebody known. `session` is a person's."""

    name: str
    permissions: frozenset[Permission]
    session: Session | None = None


class Authentication:
    """Knows people by their session's cookie and machines by their token, for one archive."""

    def __init__(self, archive: Callable[[], Archive], *, secure: bool, clock: Clock = utc_now) -> None:
        self._archive, self._clock = archive, clock
        self.secure = secure
        self.cookie = "__Host-inspection" if secure else "inspection"
        self.refusals = Refusals(archive)
        self._tokens: dict[str, tuple[Token | None, float]] = {}

    @property
    def sign_in(self) -> SignIn:
        """Signs people in."""
        return SignIn(self._archive(), self._clock)

    def who(self, request: Request, *, seen: bool = True) -> Who | None:
        """Who asks, or None for nobody known; `seen=False` where nobody does, but a stream goes on. Raises
        ArchiveFault."""
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            token = self._token(text.strip())
            return Who(f"token {token.name}", frozenset(token.scopes)) if token else None
        cookie = request.cookies.get(self.cookie)
        session = self.sign_in.session(cookie, seen=seen) if cookie else None
        return Who(session.user.name, session.user.permissions, session) if session else None

    def _token(self, text: str) -> Token | None:
        known, at = self._tokens.get(text, (None, -_TOKEN_CACHE_S))
        if time.monotonic() - at < _TOKEN_CACHE_S:
            return known
        if len(self._tokens) > _MOST_NOTED:
            self._tokens.clear()
        found = find_token(self._archive(), text, self._clock)
        self._tokens[text] = found, time.monotonic()
        return found


class Refusals:
    """Puts refusals on the audit trail: the first of a kind at once, and how often it was repeated with the next one
    after a minute, so that nobody can fill the archive by asking."""

    def __init__(self, archive: Callable[[], Archive]) -> None:
        self._archive, self._lock = archive, threading.Lock()
        self._seen: dict[tuple[str, ...], tuple[float, int]] = {}

    def note(self, by: str, subject: str, why: str, address: str, what: str = "access_refused", **more: str) -> None:
        """Somebody was refused. That it cannot be recorded changes nothing for them."""
        kind, now = (by, subject, why, address), time.monotonic()
        with self._lock:
            at, repeated = self._seen.get(kind, (-_REPEATED_S, 0))
            if now - at < _REPEATED_S:
                self._seen[kind] = at, repeated + 1
                return
            if len(self._seen) > _MOST_NOTED:
                self._seen.clear()
            self._seen[kind] = now, 0
        draft = audit_draft(what, by, subject, why=why, address=address, repeated=repeated or None, **more)
        try:
            record_audit(self._archive(), draft)
        except InspectionError:
            return


def address_of(request: Request) -> str:
    """Where a request came from, for the audit trail."""
    return request.client.host if request.client else ""


def asked_for(request: Request) -> str:
    """What a request asks for, for the audit trail: a route, and not what stands in its places."""
    return f"{request.method} {request.scope['route'].path}"


def own_page(request: Request) -> None:
    """A browser may be made to ask by another site's page: what changes something must come from this station's own.
    Raises Problem; that somebody tried is on the trail."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site not in ("none", "same-origin") if site else origin and origin.rpartition("//")[2] != request.url.netloc:
        refusals: Refusals = request.app.state.authentication.refusals
        refusals.note("somebody unknown", asked_for(request), "asked by another site's page", address_of(request))
        raise Problem(403, "cross_site", "another site's page may not change anything here; use this station's own")
