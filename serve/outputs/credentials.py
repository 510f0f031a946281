"""Passwords, tokens and certificates: always from files, so that a recipe can be shown to anybody."""

import ssl
from pathlib import Path

from serve.outputs.output import OutputUnavailable


def read_secret(path: Path, owner: str) -> str:
    """The one line in a file; `owner` is named in the message. Raises OutputUnavailable."""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise OutputUnavailable(f"{owner}: {path} cannot be read ({why}); put the secret there") from error
    if not secret or not secret.isprintable():
        raise OutputUnavailable(f"{owner}: {path} must hold the secret as one line of text")
    return secret


def tls_context(ca_file: Path | None, certificate: Path | None, key: Path | None, owner: str) -> ssl.SSLContext:
    """TLS that checks the other side, with `ca_file` alone or else this machine's authorities; `certificate` and `key`
    are ours. Raises OutputUnavailable."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if certificate is not None:
            # A password asked for on a terminal would hang the service: an encrypted key is refused.
            context.load_cert_chain(certificate, key, password="")  # nosec B106
    except OSError as error:
        files = ", ".join(str(path) for path in (ca_file, certificate, key) if path is not None)
        why = error.strerror or str(error)
        raise OutputUnavailable(f"{owner}: {files} cannot be used for TLS ({why}); give PEM files") from error
    return context
