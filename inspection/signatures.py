"""Electronic signatures: a person signs a record by proving who they are again, and says what the signature means.

A signature is an event in the chain `audit`, bound to the hash of what is signed; the archive's key signs the statement
as a whole, so that it can be moved to no other record (21 CFR 11.50, 11.70, 11.200).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from inspection.accounts.roles import Permission
from inspection.accounts.sign_in import SignIn
from inspection.accounts.users import User
from inspection.archive import Archive
from inspection.errors import InspectionError
from inspection.records import AUDIT, Draft, Entry, from_row, intact, utc_text
from inspection.schema import entries
from inspection.signing import SigningKey, signature_fits

SIGNED = "signed"
MEANINGS = ("reviewed", "approved", "released", "rejected", "responsible")
# What decides on a product is for those who approve; whoever signs may say what they did themselves.
_DECIDES = frozenset({"approved", "released", "rejected"})


class SignatureRefused(InspectionError):
    """A record cannot be signed like that."""

    code = "signature_refused"


@dataclass(frozen=True)
class Signature:
    """Who signed which record, with what meaning, why and when (UTC). `fault` says why it does not hold, if it does
    not; `record` names the signature's own entry."""

    record: str
    signs: str
    hash: str
    by: str
    full_name: str
    meaning: str
    why: str
    at: str
    fault: str = ""


@dataclass(frozen=True)
class Signer:
    """How somebody signs: with a user name and a password, given again for each signature."""

    sign_in: SignIn
    name: str
    password: str
    address: str = ""

    def prove(self, permission: Permission, why: str) -> User:
        """The user, who may do it. Raises SignatureRefused and SignInRefused."""
        if len(why.strip()) < 3:
            raise SignatureRefused("a signature needs a reason of three characters at least")
        user = self.sign_in.check(self.name, self.password, "signature", self.address)
        if user.must_change:
            raise SignatureRefused(f"{user.name} must change the password before signing")
        if permission not in user.permissions:
            self.sign_in.refused(user.name, f"may not {permission}", "signature", self.address)
            raise SignatureRefused(f"{user.name} may not sign this: none of their roles permits to {permission}")
        return user


def meanings_for(permissions: Collection[Permission]) -> tuple[str, ...]:
    """What somebody's signature may mean."""
    if Permission.SIGN not in permissions:
        return ()
    return tuple(one for one in MEANINGS if one not in _DECIDES or Permission.APPROVE in permissions)


def sign_record(archive: Archive, key: SigningKey, entry: Entry, signer: Signer, meaning: str, why: str) -> Entry:
    """Sign a record. Raises SignatureRefused, SignInRefused and ArchiveFault."""
    if meaning not in MEANINGS:
        raise SignatureRefused(f"{meaning!r} is no meaning of a signature; choose of {', '.join(MEANINGS)}")
    if not intact(entry):
        raise SignatureRefused(f"{entry.name} was changed: its hash does not fit its content; run `inspection verify`")
    user = signer.prove(Permission.SIGN, why)
    if meaning not in meanings_for(user.permissions):
        signer.sign_in.refused(user.name, f"may not sign as {meaning}", "signature", signer.address)
        raise SignatureRefused(f"{user.name} may not sign as {meaning}: none of their roles permits to approve")
    if any(one.by == user.name and one.meaning == meaning for one in signatures_of(archive, entry)):
        raise SignatureRefused(f"{user.name} has signed {entry.name} as {meaning} already")
    details = signed_statement(key, user, entry.name, entry.hash, meaning, why)
    draft = Draft("event", unit=entry.unit, batch=entry.batch, product=entry.product, recipe=entry.recipe,
                  package=entry.package, reason=SIGNED, details=details)  # fmt: skip
    return archive.append(draft, AUDIT)


def signed_statement(
    key: SigningKey, user: User, signs: str, hash_: str, meaning: str, why: str, at: str | None = None,
    attached: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What a person says by signing `signs`, whose content has the hash `hash_`, with the archive's own signature;
    `attached` is the SHA-256 of what they had in front of them."""
    statement = {
        "format": "inspection-signature/1", "signs": signs, "hash": hash_, "by": user.name,
        "full_name": user.full_name, "meaning": meaning, "why": why.strip(), "at": at or utc_text(),
    } | ({"attached": attached} if attached else {})  # fmt: skip
    return statement | {"public_key": key.public_key, "signature": key.sign(statement)}


def signature_fault(details: Mapping[str, Any], keys: Collection[str] = ()) -> str:
    """Why a signed statement is not what was signed, with one of `keys` if there are any, or an empty text."""
    try:
        statement = {key: value for key, value in details.items() if key not in ("public_key", "signature")}
        fits = signature_fits(details["public_key"], statement, details["signature"])
        trusted = not keys or details["public_key"] in keys
    except (KeyError, TypeError, AttributeError):
        return "is no signature"
    if not fits:
        return "is not what was signed"
    return "" if trusted else "was signed with another key than the trusted"


def statement_fault(
    details: Mapping[str, Any], signs: str, hash_: str, meaning: str, keys: Collection[str] = ()
) -> str:
    """Why an event's `statement` does not say this, by the person whom the event names, or an empty text."""
    statement = details.get("statement")
    if not isinstance(statement, dict):
        return "is no signature"
    said = (signs, hash_, meaning, details.get("by"))
    if tuple(statement.get(key) for key in ("signs", "hash", "meaning", "by")) != said:
        return "is of something else than its record says"
    return signature_fault(statement, keys)


def signatures_of(archive: Archive, entry: Entry) -> list[Signature]:
    """Of a record, the oldest first. Raises ArchiveFault."""
    query = select(entries).where(entries.c.kind == "event", entries.c.reason == SIGNED)
    if entry.unit:
        query = query.where(entries.c.unit == entry.unit)
    elif entry.batch:
        query = query.where(entries.c.batch == entry.batch)
    else:
        query = query.where(entries.c.details.contains(f'"signs":{json.dumps(entry.name)}', autoescape=True))
    with archive.reader() as connection:
        found = [from_row(row) for row in connection.execute(query.order_by(entries.c.recorded_at)).mappings()]
    return [signature(one, entry) for one in found if one.details.get("signs") == entry.name]


def signature(event: Entry, signed: Entry | None) -> Signature:
    """A signature's event beside the record that it signs."""
    details = event.details
    values = {key: str(details.get(key, "")) for key in ("signs", "hash", "by", "full_name", "meaning", "why", "at")}
    fault = signature_fault(details)
    if not fault and (signed is None or signed.hash != details["hash"] or not intact(signed)):
        fault = "the record is another than was signed"
    return Signature(event.name, **values, fault=fault)
