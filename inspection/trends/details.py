"""What is read out of records' JSON; a record that holds something else tells nothing, and is `inspection verify`'s to
find."""

import json
from typing import Any


def decode_object(text: str) -> dict[str, Any]:
    """A JSON object; an empty one of anything else."""
    found = _decode(text)
    return found if isinstance(found, dict) else {}


def decode_list(text: str) -> list[Any]:
    """A JSON list; an empty one of anything else."""
    found = _decode(text)
    return found if isinstance(found, list) else []


def _decode(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
