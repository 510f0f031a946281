"""Heads of chains signed with Ed25519: who has the public key can tell that no record before a signed head was changed,
even by somebody who can write the whole archive and recomputes every hash.

A signed head is an event in the chain that it signs, about the entry before it. A copy of signed heads kept by somebody
else (`inspection heads`) proves as well that the chain was not cut off or made anew.
"""

import base64
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import select

from inspection.archive import Archive
from inspection.errors import InspectionError
from inspection.files import sync_folder
from inspection.records import Draft, Entry, canonical_json, utc_text
from inspection.schema import entries

HEAD_SIGNED = "head_signed"
KEY_FILE = "signing.key"
_RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw


class SigningKeyUnusable(InspectionError):
    """A key to sign or to check signatures with cannot be used."""

    code = "signing_key_unusable"


@dataclass(frozen=True)
class SigningKey:
    """A private key. `public_key` is the public half in base64, `fingerprint` its SHA-256 in hex."""

    private: Ed25519PrivateKey

    @property
    def public_key(self) -> str:
        """The public half, 32 bytes in base64."""
        return base64.b64encode(self.private.public_key().public_bytes(*_RAW)).decode()

    @property
    def fingerprint(self) -> str:
        """What people compare."""
        return fingerprint(self.public_key)

    def sign(self, statement: Mapping[str, Any]) -> str:
        """The signature of a statement's canonical JSON, in base64."""
        return base64.b64encode(self.private.sign(canonical_json(statement).encode())).decode()


def fingerprint(public_key: str) -> str:
    """SHA-256 in hex of a public key in base64."""
    return hashlib.sha256(base64.b64decode(public_key)).hexdigest()


def signature_fits(public_key: str, statement: Mapping[str, Any], signature: str) -> bool:
    """Whether the key's owner signed this very statement."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), canonical_json(statement).encode())
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def signing_key(archive: Archive) -> SigningKey:
    """The archive's key, made where there is none yet; readable by its owner alone. Raises SigningKeyUnusable."""
    path = archive.settings.signing_key or archive.folder / KEY_FILE
    try:
        return _read(path.read_bytes(), path)
    except FileNotFoundError:
        return _made(path)
    except OSError as error:
        raise SigningKeyUnusable(
            f"{path} cannot be read ({error.strerror}); it is the archive's signing key"
        ) from error


def _read(data: bytes, path: Path) -> SigningKey:
    try:
        key = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError) as error:
        raise SigningKeyUnusable(f"{path} is no private key in PEM without a password; restore it") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyUnusable(f"{path} is not an Ed25519 key; make one with `openssl genpkey -algorithm ed25519`")
    return SigningKey(key)


def _made(path: Path) -> SigningKey:
    key = Ed25519PrivateKey.generate()
    data = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # never over a key that another process made meanwhile
        sync_folder(path.parent)
    except FileExistsError:
        return _read(path.read_bytes(), path)
    except OSError as error:
        raise SigningKeyUnusable(f"{path} cannot be written ({error.strerror}); name another `signing_key`") from error
    finally:
        temporary.unlink(missing_ok=True)
    return SigningKey(key)


def read_public_key(path: Path) -> str:
    """A trusted public key from a PEM file, or from one that holds it as base64. Raises SigningKeyUnusable."""
    try:
        data = path.read_bytes().strip()
        if data.startswith(b"-----"):
            key = serialization.load_pem_public_key(data)
            if not isinstance(key, Ed25519PublicKey):
                raise ValueError("another kind of key")
            return base64.b64encode(key.public_bytes(*_RAW)).decode()
        Ed25519PublicKey.from_public_bytes(base64.b64decode(data, validate=True))
        return data.decode()
    except (OSError, ValueError) as error:
        raise SigningKeyUnusable(f"{path} is no Ed25519 public key; give one in PEM or base64") from error


def head_statement(station: str, sequence: int, hash_: str, signed_at: str) -> dict[str, Any]:
    """What is signed of a chain."""
    return {"format": "inspection-head/1", "station": station, "sequence": sequence, "hash": hash_,
            "signed_at": signed_at}  # fmt: skip


def sign_heads(archive: Archive, key: SigningKey, stations: Iterable[str] | None = None) -> list[Entry]:
    """Sign the head of each station's chain that has grown since its last signed head. Raises ArchiveFault."""
    signed = []
    for station in sorted(set(stations or archive.stations())):
        with archive.writing() as write:
            last = write.head(station)
            query = select(entries.c.reason).where(entries.c.station == station, entries.c.sequence == last[0])
            if last[0] == 0 or write.connection.scalar(query) == HEAD_SIGNED:
                continue
            statement = head_statement(station, *last, utc_text())
            details = statement | {"public_key": key.public_key, "signature": key.sign(statement)}
            signed += write.append([Draft("event", reason=HEAD_SIGNED, details=details)], station)
    return signed


def head_fault(station: str, previous: tuple[int, str], details: Mapping[str, Any]) -> str:
    """Why the details of a signed head do not fit the entry before it, or an empty text."""
    try:
        public_key, signature = str(details["public_key"]), str(details["signature"])
        statement = head_statement(station, *previous, str(details["signed_at"]))
    except (KeyError, TypeError):
        return "is no signed head"
    return "" if signature_fits(public_key, statement, signature) else "has a signature that does not fit the chain"
