"""Signals, a station's state and configurations that the tests of outputs share."""

import datetime as dt
import ipaddress
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from inspection.recipe import OutputConfig
from inspection.verdict import Outcome, Reason
from serve.outputs import Alarm, Signal, StationState

TIMEOUT_MS = 1500
ALARM = Alarm("camera_lost", "no frame for 5 s", "2026-01-02T03:04:05+00:00")
STATE = StationState(
    "station-1",
    "vials 1.0.0",
    "vial",
    None,
    "vial 2.0.0 abc",
    "running",
    (ALARM,),
    {"units": 3, "PASS": 2, "REJECT": 1},
)
PASSED = Signal(
    1, "unit-7", Outcome.PASS, Reason.WITHIN_LIMITS, 1.25, "2026-01-02T03:04:05.678901+00:00", "station-1/70000"
)
REVIEWED = replace(PASSED, outcome=Outcome.REVIEW, reason=Reason.ABOVE_REVIEW_LIMIT, score=3.5)
LOST = replace(PASSED, unit="unit-ü", outcome=Outcome.REJECT, reason=Reason.FRAME_LOST, score=None, record=None)


def config_of(kind: str, **options: Any) -> OutputConfig:
    return OutputConfig.model_validate({"kind": kind, "name": "gate", "timeout_ms": TIMEOUT_MS} | options)


def self_signed(folder: Path, uri: str = "urn:test") -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 and its key, as PEM files."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.UniformResourceIdentifier(uri),
    ]
    now = dt.datetime.now(dt.UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=1))
    built = built.add_extension(x509.SubjectAlternativeName(names), critical=False)
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private
