"""A shadow's equivalence report, attached to a signed step: what the candidate did on the line before that."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspection.equivalence.comparison import check_plain
from inspection.equivalence.verdict import DIFFERS, NOT_EQUIVALENT
from inspection.errors import InspectionError
from inspection.registry.items import Version
from inspection.registry.rules import StepRefused

SPEAKS_AGAINST = frozenset({NOT_EQUIVALENT, DIFFERS})


@dataclass(frozen=True)
class ShadowReport:
    """A report's JSON as `inspection shadow report` wrote it: a file, or its bytes. Whoever attaches one that speaks
    against the candidate says so with `despite`, and answers for it: nothing is promoted against its own evidence by
    an oversight."""

    source: Path | bytes
    despite: bool = False

    def read(self) -> "ReadReport":
        """Raises StepRefused for what is no such report."""
        name = "the report" if isinstance(self.source, bytes) else str(self.source)
        try:
            data = self.source if isinstance(self.source, bytes) else self.source.read_bytes()
            answer = check_plain(json.loads(data))
            trial = answer["about"]["shadow"]["trial"]
            verdict = answer["verdict"]
            said = {
                "word": str(verdict["word"]), "sentence": str(verdict["sentence"]),
                "units": int(answer["figures"]["units"]), "trial": str(trial["trial"]),
                "candidate": str(trial["candidate"]["sha256"]), "active": str(trial["active"]["sha256"]),
            }  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError, RecursionError, InspectionError) as error:
            raise StepRefused(
                f"{name} cannot be read as a shadow's report; give the shadow.json of `inspection shadow report`"
            ) from error
        return ReadReport(data, said, self.despite)


@dataclass(frozen=True)
class ReadReport:
    """A report that was read, and what a step's details say of it."""

    data: bytes
    said: Mapping[str, Any]
    despite: bool

    @property
    def sha256(self) -> str:
        """Of its bytes, in hex: what the signature names."""
        return hashlib.sha256(self.data).hexdigest()

    def check(self, one: Version) -> None:
        """Raises StepRefused where the report is of another package than `one` is or runs, or speaks against it and
        nobody said `despite`."""
        digests = one.packages if one.kind == "recipe" else (one.digest,)
        if self.said["candidate"] not in digests:
            raise StepRefused(
                f"the shadow's report is of the package {self.said['candidate'][:12]}…, and {one.label} is another and "
                "does not run it; attach the report of its own package"
            )
        if self.said["word"] in SPEAKS_AGAINST and not self.despite:
            raise StepRefused(
                f"the shadow's report speaks against {one.label} ({self.said['sentence'].removesuffix('.')}); whoever "
                "promotes it all the same says so with `despite`, and why"
            )

    def details(self, file: str) -> dict[str, Any]:
        """What the step's record says of it, kept under the name `file`."""
        against = {"despite": True} if self.said["word"] in SPEAKS_AGAINST else {}
        return {"file": file, "sha256": self.sha256} | dict(self.said) | against
