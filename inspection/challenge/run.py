"""A run of a challenge kit: each known unit is decided as every other, and compared with what is registered of it.

A run begins with a record and ends with one. One that has no end, because of a crash or whatever else, is not passed.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from inspection.challenge.kit import STOPPED, Kit, KitUnit
from inspection.errors import InspectionError
from inspection.frames import Frame, decode_frame, image_suffix
from inspection.records import Entry
from inspection.registry.items import Version
from inspection.station import Station
from inspection.verdict import SHOWN, Outcome, Reason, Verdict, combine, reason_for, reject

STARTED, PASSED, FAILED, OVERRIDDEN = (
    "challenge_started", "challenge_passed", "challenge_failed", "challenge_overridden"
)  # fmt: skip
Manner = Literal["images", "line"]


@dataclass(frozen=True)
class KitResult:
    """What became of a kit's unit. `outcome` and `reason` are None where it did not come; `as_registered` says whether
    it was decided as it should be; `record` names its unit's record, where the line made one."""

    unit: str
    truth: str
    defect: str | None
    expected: str
    images: tuple[str, ...]
    outcome: str | None = None
    reason: str | None = None
    score: float | None = None
    as_registered: bool = False
    message: str = ""
    record: str | None = None


def decided_as_registered(expected: str, outcome: str | None, reason: str | None) -> bool:
    """Whether a unit was decided as expected, by what its images show. A unit that was rejected for a fault (late,
    lost, no model) was not looked at: it proves nothing, whichever it is."""
    if outcome is None or reason not in SHOWN:
        return False
    return outcome in (Outcome.REJECT, Outcome.REVIEW) if expected == STOPPED else outcome == expected


def result_of(
    unit: KitUnit, outcome: str | None, reason: str | None, score: float | None = None, message: str = "",
    record: str | None = None,
) -> KitResult:  # fmt: skip
    """The result of a unit that was decided, or that did not come."""
    expected = str(unit.expected)
    fits = decided_as_registered(expected, outcome, reason)
    images = tuple(one.image for one in unit.images)
    return KitResult(unit.id, unit.truth, unit.defect, expected, images, outcome, reason, score, fits, message, record)


def begin(
    station: Station, version: Version, recipe_sha256: str, manner: Manner, by: str, why: str, order: Sequence[str] = ()
) -> Entry:
    """Put the start of a run on record; `order` is that of the units on the line. Raises ArchiveFault."""
    said: dict[str, Any] = {"kit": {"name": version.name, "version": version.version, "digest": version.digest},
                            "recipe_sha256": recipe_sha256, "manner": manner, "by": by, "why": why}  # fmt: skip
    return station.note(STARTED, **said, **({"order": list(order)} if order else {}))


def finish(station: Station, started: Entry, kit: Kit, results: Sequence[KitResult], message: str = "") -> Entry:
    """Put the end on record: passed only where each unit of the kit was decided as registered. Raises ArchiveFault."""
    complete = sorted(one.unit for one in results) == sorted(unit.id for unit in kit.units)
    passed = complete and all(one.as_registered for one in results) and not message
    said = {key: started.details[key] for key in ("kit", "recipe_sha256", "manner", "by", "why")}
    told = {"run": started.name, "units": [asdict(one) | {"images": list(one.images)} for one in results],
            "as_registered": sum(one.as_registered for one in results), "of": len(kit.units)}  # fmt: skip
    return station.note(PASSED if passed else FAILED, **said, **told, **({"message": message} if message else {}))


def run_by_images(station: Station, version: Version, kit: Kit, recipe_sha256: str, by: str, why: str) -> Entry:
    """Give the kit's stored images to the station's one path, with the recipe's limits and region, and compare. Raises
    ArchiveFault."""
    started = begin(station, version, recipe_sha256, "images", by, why)
    return finish(station, started, kit, [_by_images(station, unit) for unit in kit.units])


def _by_images(station: Station, unit: KitUnit) -> KitResult:
    verdicts: list[Verdict] = []
    scores: list[float] = []
    messages: list[str] = []
    only = station.recipe.cameras[0].name if len(station.recipe.cameras) == 1 else "file"
    truth = unit.defect or unit.truth
    for number, one in enumerate(unit.images):
        try:
            data = station.archive.images.get(one.image)
            name = f"{unit.id}, image {number + 1}"
            pixels = decode_frame(data, name, station.detector.manifest.input.colour)
            frame = Frame(
                pixels, name, one.camera or only, number, encoded=data, suffix=image_suffix(data), truth=truth
            )
        except InspectionError as error:  # missing, changed, or not of the package's colour: never as registered
            verdicts.append(reject(reason_for(error.code, Reason.FRAME_UNREADABLE)))
            messages.append(str(error))
            continue
        finding, verdict, message = station.judge(frame)
        verdicts.append(verdict)
        messages += [message] if message else []
        scores += [finding.score] if finding else []
    # A fault is said before what other images show: the unit was not looked at as a whole.
    faults = [verdict for verdict in verdicts if verdict.reason not in SHOWN]
    verdict = faults[0] if faults else combine(verdicts)
    score = max(scores, default=None) if verdict.reason in SHOWN else None
    return result_of(unit, str(verdict.outcome), str(verdict.reason), score, " ".join(messages))
