"""A shadow's equivalence report, attached to a signed step: what the candidate did on the line before that."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inspection.equivalence.comparison import check_plain
from inspection.equivalence.figures import Margins
from inspection.equivalence.verdict import AGREES, DIFFERS, EQUIVALENT, NOT_EQUIVALENT, NOT_SHOWN
from inspection.errors import InspectionError
from inspection.registry.items import Version
from inspection.registry.rules import StepRefused

SPEAKS_AGAINST = frozenset({NOT_EQUIVALENT, DIFFERS})
_WORDS = frozenset({EQUIVALENT, NOT_SHOWN, AGREES, *SPEAKS_AGAINST})
Decides = Mapping[str, Any]  # what a version decides with, by the names that a trial has for it


@dataclass(frozen=True)
class ShadowReport:
    """A report's JSON, made of what is on record. `against` names the trials that speak against the candidate. Whoever
    attaches a report where one does says so with `despite`, and answers for it: nothing is promoted against its own
    evidence by an oversight."""

    data: bytes
    despite: bool = False
    against: tuple[str, ...] = ()

    def read(self) -> "ReadReport":
        """Raises StepRefused for what is no such report."""
        try:
            answer = check_plain(json.loads(self.data))
            trial = answer["about"]["shadow"]["trial"]
            verdict, margins = answer["verdict"], answer["margins"]
            said = {
                "word": str(verdict["word"]), "sentence": str(verdict["sentence"]),
                "units": int(answer["figures"]["units"]), "trial": str(trial["trial"]),
                "candidate": str(trial["candidate"]["sha256"]), "active": str(trial["active"]["sha256"]),
                "limits": {name: float(trial["limits"][name]) for name in ("review_limit", "reject_limit")},
                "margins": {name: float(margins[name]) for name in vars(Margins())},
            }  # fmt: skip
            if said["word"] not in _WORDS:
                raise ValueError(said["word"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InspectionError) as error:
            raise StepRefused("the report cannot be read as a shadow's; make it anew of what is on record") from error
        return ReadReport(self.data, said, trial, self.despite, self.against)


@dataclass(frozen=True)
class ReadReport:
    """A report that was read: of which `trial`, and what a step's details say of it."""

    data: bytes
    said: Mapping[str, Any]
    trial: Mapping[str, Any]
    despite: bool
    against: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Of its bytes, in hex: what the signature names."""
        return hashlib.sha256(self.data).hexdigest()

    def check(self, one: Version, decides: Decides) -> None:
        """Raises StepRefused where the trial was not of what `one` decides with, where more was allowed than the
        default margins do, and where it speaks against `one` and nobody said `despite`."""
        if why := misfit(decides, self.trial):
            raise StepRefused(f"the shadow's report does not fit {one.label}: {why}")
        usual, margins = vars(Margins()), self.said["margins"]
        wider = [name for name in ("detection", "false_reject") if not 0 < margins[name] <= usual[name]]
        if wider or not usual["confidence"] <= margins["confidence"] < 1:
            raise StepRefused(
                "the shadow's report was made with wider margins or less confidence than the default ones; make it "
                "with these"
            )
        if self._speaks_against and not self.despite:
            raise StepRefused(against_sentence(one, self.said["trial"], self.said["sentence"]))

    def details(self, file: str) -> dict[str, Any]:
        """What the step's record says of it, kept under the name `file`."""
        more = {"despite": True} if self._speaks_against or self.against else {}
        others = {"against": list(self.against)} if self.against else {}
        return {"file": file, "sha256": self.sha256} | dict(self.said) | more | others

    @property
    def _speaks_against(self) -> bool:
        return self.said["word"] in SPEAKS_AGAINST


def against_sentence(one: Version, trial: str, sentence: str) -> str:
    """Why a step is refused against which a trial speaks."""
    return (
        f"the shadow's trial {trial} speaks against {one.label} ({sentence.removesuffix('.')}); whoever promotes it "
        "all the same says so with `despite`, and why"
    )


def misfit(decides: Decides, trial: Mapping[str, Any]) -> str:
    """Why a trial (plain values) says nothing of a version that decides with this; empty where it does."""
    digest = trial["candidate"]["sha256"]
    if digest != decides["candidate"]:
        return f"it is of the package {digest[:12]}…, and not of {decides['candidate'][:12]}…"
    differing = [name for name, value in decides.items() if name != "candidate" and trial.get(name) != value]
    if not differing:
        return ""
    name = differing[0]
    return f"its trial {trial['trial']} had {_words(name, trial.get(name))}, and not {_words(name, decides[name])}"


def _words(name: str, value: Any) -> str:
    if name == "limits":
        return f"the limits {value['review_limit']:g} and {value['reject_limit']:g}"
    if value is None:
        return f"no {name}"
    return f"the product {value!r}" if name == "product" else f"this {name}"
