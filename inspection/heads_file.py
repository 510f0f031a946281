"""Signed heads as a file to be kept elsewhere: JSON that an outside party can check with the public key alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select

from inspection.archive import Archive
from inspection.errors import InspectionError
from inspection.records import from_row
from inspection.schema import entries
from inspection.signing import HEAD_SIGNED, head_fault

FORMAT = "inspection-heads/1"


class HeadsInvalid(InspectionError):
    """A file of signed heads cannot be read, or a signature in it does not fit."""

    code = "heads_invalid"


def signed_heads(archive: Archive) -> Iterator[dict[str, Any]]:
    """All signed heads, the oldest first: station, sequence, hash, signed_at, public_key and signature."""
    query = select(entries).where(entries.c.kind == "event", entries.c.reason == HEAD_SIGNED)
    with archive.reader() as connection:
        for row in connection.execute(query.order_by(entries.c.recorded_at)).mappings():
            yield dict(from_row(row).details)


def read_heads(path: Path, keys: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
    """The heads in a file, each with a signature that fits, by one of `keys` if any are given. Raises HeadsInvalid."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        heads = list(content["heads"])
        if content["format"] != FORMAT:
            raise ValueError(content["format"])
        for head in heads:
            fault = head_fault(head["station"], (head["sequence"], head["hash"]), head)
            if not fault and keys and head["public_key"] not in keys:
                fault = "was signed with another key than the trusted"
            if fault:
                raise HeadsInvalid(f"{path}: the head {head['station']}/{head['sequence']} {fault}; use a sound copy")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise HeadsInvalid(f"{path} holds no signed heads; give a file that `inspection heads` wrote") from error
    return heads
