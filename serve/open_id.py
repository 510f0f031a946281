"""Sign-in with the plant's OpenID Connect provider: who somebody is, is proved there; what they may do, is said here.

Only people who have an account with that identity (`oidc_subject`) come in: nobody is let in by the provider alone. The
code flow with PKCE, by Authlib; the ID token's signature, issuer, audience, times and nonce are checked by joserfc.
"""

import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import select

from inspection.accounts.sign_in import Session, SignIn, SignInRefused
from inspection.accounts.users import user_of
from inspection.archive import Archive
from inspection.archive_settings import OpenIdSettings
from inspection.errors import InspectionError
from inspection.schema import users
from serve.authentication import Refusals

_LASTS_S = 300.0
_MOST = 1000
_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]


class ProviderUnavailable(InspectionError):
    """The provider does not answer, or not as it should."""

    code = "provider_unavailable"


@dataclass(frozen=True)
class _Begun:
    nonce: str
    verifier: str
    wanted: str
    until: float


class OpenId:
    """Signs people in by a provider. What it says of itself is asked for when somebody signs in, and not before."""

    def __init__(self, settings: OpenIdSettings) -> None:
        self.settings = settings
        self._begun: dict[str, _Begun] = {}
        self._lock = threading.Lock()

    def start(self, callback: str, wanted: str) -> tuple[str, str]:
        """Where to send the browser, and the state that must come back with it. Raises ProviderUnavailable."""
        described = self._described()
        nonce, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        with self._client(callback) as client:
            address, state = client.create_authorization_url(
                described["authorization_endpoint"], code_verifier=verifier, nonce=nonce
            )
        with self._lock:
            now = time.monotonic()
            self._begun = {key: one for key, one in self._begun.items() if one.until > now}
            if len(self._begun) >= _MOST:
                raise ProviderUnavailable("too many sign-ins are under way; try again in a few minutes")
            self._begun[state] = _Begun(nonce, verifier, wanted, now + _LASTS_S)
        return address, state

    def finish(
        self, archive: Archive, refusals: Refusals, callback: str, state: str, code: str, address: str
    ) -> tuple[Session, str]:
        """The session of whoever came back, and the page they wanted. Raises SignInRefused, which is on the audit
        trail, ProviderUnavailable and ArchiveFault."""
        with self._lock:
            begun = self._begun.pop(state, None)
        if begun is None or begun.until < time.monotonic():
            why = "the sign-in was not begun here, or too long ago"
            raise self._refused(refusals, "an unknown identity", why, address)
        try:
            claims = self._claims(callback, code, begun)
        except (AuthlibBaseError, JoseError, KeyError, ValueError) as error:
            why = f"the provider's answer does not hold ({type(error).__name__})"
            raise self._refused(refusals, "an unknown identity", why, address) from error
        subject = str(claims["sub"])
        with archive.reader() as connection:
            row = connection.execute(select(users).where(users.c.oidc_subject == subject)).mappings().first()
        if row is None:
            raise self._refused(refusals, subject, "no account has this identity", address)
        return SignIn(archive).begin(user_of(row), "OpenID Connect", address), begun.wanted

    def _claims(self, callback: str, code: str, begun: _Begun) -> dict[str, Any]:
        described = self._described()
        try:
            with self._client(callback) as client:
                token = client.fetch_token(described["token_endpoint"], code=code, code_verifier=begun.verifier)
            keys = KeySet.import_key_set(httpx.get(described["jwks_uri"], timeout=self.settings.timeout_s).json())
        except httpx.HTTPError as error:
            raise ProviderUnavailable(f"{self.settings.issuer} does not answer ({type(error).__name__})") from error
        claims = jwt.decode(token["id_token"], keys, algorithms=_ALGORITHMS).claims
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": described["issuer"]},
            aud={"essential": True, "value": self.settings.client_id},
            exp={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": begun.nonce},
        ).validate(claims)
        return dict(claims)

    def _described(self) -> dict[str, Any]:
        place = self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
        try:
            said = httpx.get(place, timeout=self.settings.timeout_s).raise_for_status().json()
            if said["issuer"].rstrip("/") != self.settings.issuer.rstrip("/"):
                raise ValueError("another issuer")
            return dict(said)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ProviderUnavailable(f"{place} does not answer as a provider ({type(error).__name__})") from error

    def _client(self, callback: str) -> OAuth2Client:
        return OAuth2Client(
            self.settings.client_id, self.settings.client_secret.read("open_id"), scope="openid", redirect_uri=callback,
            code_challenge_method="S256", timeout=self.settings.timeout_s,
        )  # fmt: skip

    @staticmethod
    def _refused(refusals: Refusals, who: str, why: str, address: str) -> SignInRefused:
        # Anybody can ask for this, without a password that takes time to check: so often as a refusal is written.
        refusals.note(who, who, why, address, "sign_in_refused", purpose="OpenID Connect")
        return SignInRefused("the sign-in was refused; ask an administrator whether an account has your identity")
