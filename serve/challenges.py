"""Challenge runs on a running station, and what they allow: without a passed one, where the recipe asks for it, no
batch begins and no unit passes."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inspection.archive import ArchiveFault
from inspection.challenge.clearance import ChallengeDue, Clearance, clearance, override
from inspection.challenge.kit import Kit, approved_kit, kept_kit
from inspection.challenge.run import KitResult, begin, finish, result_of, run_by_images
from inspection.errors import InspectionError
from inspection.recipe import ChallengeConfig
from inspection.records import Entry
from inspection.registry.items import Version, read_versions
from inspection.signatures import Signer
from inspection.station import fault_text

if TYPE_CHECKING:
    from serve.service import Service

DUE, OVERRIDDEN = "challenge_due", "challenge_overridden"
# How often the records are looked at, for another process may have run the kit: while the station is blocked, and else.
_AGAIN_S, _CALM_S = 1.0, 30.0


class ChallengeRefused(InspectionError):
    """A challenge run cannot be begun or ended now."""

    code = "challenge_refused"


@dataclass
class LineRun:
    """An open run on the line: the next units are the kit's, in this order."""

    version: Version
    kit: Kit
    started: Entry
    order: tuple[str, ...]
    taken: int = 0
    results: dict[str, KitResult] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """Plain values."""
        return {"run": self.started.name, "kit": self.kit.label, "order": list(self.order), "taken": self.taken,
                "decided": len(self.results)}  # fmt: skip


class Challenges:
    """Runs kits for a service, and knows whether units may pass. `blocked`, `take` and `decided` are called from the
    line's threads and never wait for the archive."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._lock = threading.Lock()
        self._running = threading.Lock()  # one run at a time
        self._reading = threading.RLock()  # what was read last is what holds
        self._open: LineRun | None = None
        self._until = 0.0  # on the monotonic clock, of `_cleared`
        self._cleared: tuple[str, str | None] | None = None  # a recipe's digest, and the batch where each is challenged
        self._why, self._overridden = "it was not looked yet whether the challenge kit was run", ""
        self._blocked_one = False
        self._looked_at = 0.0

    @property
    def config(self) -> ChallengeConfig | None:
        """What the recipe that runs says."""
        return self._service.line.recipe.challenge

    @property
    def open_run(self) -> LineRun | None:
        """The run on the line, while it is open."""
        return self._open

    # What the line asks, for each unit

    def blocked(self, batch: str | None) -> str:
        """Why a unit of `batch` that comes by cannot pass, or an empty text."""
        why = self._why_not(batch)
        self._blocked_one = self._blocked_one or bool(why)
        return why

    def _why_not(self, batch: str | None) -> str:
        config = self.config
        if config is None or config.every == "none":
            return ""
        cleared = self._cleared
        if config.every == "batch":
            if cleared == (self._recipe_sha256, batch) and batch is not None:
                return ""
            return (
                self._why or f"batch {batch} was not begun with a challenge"
                if batch
                else "no batch runs, and only units of a batch that was challenged pass"
            )
        if cleared == (self._recipe_sha256, None) and time.monotonic() < self._until:
            return ""
        return self._why or f"the shift's challenge is over; run challenge kit {config.kit}"

    def take(self) -> dict[str, Any] | None:
        """What the unit is that comes by now, where it is one of a kit's: it is never passed."""
        with self._lock:
            run = self._open
            if run is None or run.taken == len(run.order):
                return None
            unit, run.taken = run.order[run.taken], run.taken + 1
            return {"run": run.started.name, "kit": run.kit.label, "unit": unit}

    def decided(self, taken: dict[str, Any], entry: Entry | None, message: str) -> None:
        """A kit's unit is on record; without an `entry`, `message` says why it is not."""
        with self._lock:
            run = self._open
            if run is None or run.started.name != taken["run"]:
                return
            unit = next(one for one in run.kit.units if one.id == taken["unit"])
            shown = entry.details.get("challenge", {}) if entry else {}
            said = str(entry.details.get("message", "")) if entry else message
            run.results[unit.id] = result_of(
                unit, shown.get("outcome"), shown.get("reason"), entry.score if entry else None, said,
                entry.name if entry else None,
            )  # fmt: skip
            if len(run.results) < len(run.order):
                return
            self._open = None
        threading.Thread(target=self._end, args=(run,), name="challenge", daemon=True).start()

    # Runs

    def run_images(self, by: str, why: str) -> Entry:
        """Give the kit's images to the station. Raises ChallengeRefused, KitUnusable, ArchiveFault."""
        version, kit = self._kit()
        with self._one_run():
            entry = run_by_images(self._service.station, version, kit, self._recipe_sha256, by, why)
        self.refresh()
        return entry

    def open(self, by: str, why: str, order: Sequence[str] | None = None) -> LineRun:
        """The next units on the line are the kit's, in the kit's order or this one. Raises ChallengeRefused,
        KitUnusable, ArchiveFault."""
        version, kit = self._kit()
        ids = [unit.id for unit in kit.units]
        order = ids if order is None else list(order)
        if sorted(order) != sorted(ids):
            raise ChallengeRefused(f"the order must name each unit of {kit.label} once: {', '.join(ids)}")
        if self._service.line.state != "running":
            raise ChallengeRefused("units come by a line with cameras that runs; run the kit's images instead")
        with self._one_run():
            sha256 = self._recipe_sha256
            started = begin(self._service.station, version, sha256, "line", by, why, order)
            with self._lock:
                run = self._open = LineRun(version, kit, started, tuple(order))
        return run

    def close(self, why: str) -> Entry:
        """End the run on the line before all units came: it is not passed. Raises ChallengeRefused, ArchiveFault."""
        with self._lock:
            run, self._open = self._open, None
        if run is None:
            raise ChallengeRefused("no challenge run is open on the line")
        return self._finish(run, why)

    def abandon(self, why: str) -> None:
        """The same where one is open; a fault of the archive leaves it without an end, which is not passed either."""
        try:
            self.close(why)
        except (ChallengeRefused, ArchiveFault):
            return

    def override(self, signer: Signer, why: str, batch: str | None) -> Entry:
        """See `inspection.challenge.clearance.override`."""
        config = self.config
        if config is None or config.every == "none":
            raise ChallengeRefused("the recipe that runs asks for no challenge, so nothing is blocked")
        entry = override(self._service.station, self._service.key, config, self._recipe_sha256, signer, why, batch)
        self.refresh()
        return entry

    # What is allowed

    def clear_for(self, batch: str) -> dict[str, Any] | None:
        """What a batch that begins has on record of its challenge; None where the recipe asks for none. Raises
        ChallengeDue and ArchiveFault."""
        config = self.config
        if config is None or config.every == "none":
            return None
        if self._open:
            raise ChallengeDue("a challenge run is open on the line; it must come to its end first")
        found = self._clearance(config, batch)
        if found.why:
            raise ChallengeDue(f"batch {batch} cannot begin: {found.why}")
        return found.described()

    def look(self) -> None:
        """Now and then: say what is due, and see whether it was done."""
        if not self._service.started or self._service.changing:
            return
        now = time.monotonic()
        if self.config and now - self._looked_at >= (_AGAIN_S if self._due() else _CALM_S):
            self.refresh()
        self._tell()

    def begin_batch(self, batch: str, open_it: Callable[[], object]) -> None:
        """Let a batch run that is on record as begun: it is allowed before its first unit comes by."""
        with self._reading:
            self._refresh(batch)
            open_it()
            self._tell()

    def refresh(self) -> None:
        """Read from the records what is allowed now. What cannot be read allows nothing."""
        with self._reading:
            self._refresh(self._service.station.batch)

    def _refresh(self, batch: str | None) -> None:
        self._looked_at = time.monotonic()
        config = self.config
        if config is None or config.every == "none":
            self._why = self._overridden = ""
            self._tell()
            return
        try:
            found = self._clearance(config, batch, running=batch is not None)
        except Exception as error:  # whatever it is, it allows nothing, and whoever looks now and then goes on
            found = Clearance(f"nobody can tell whether the challenge kit was passed: {fault_text(error)}")
        sha256 = self._recipe_sha256
        self._why, self._overridden = found.why, _override_text(found.described()) if found.overridden else ""
        shift = config.every == "shift"
        self._cleared = None if found.why or (batch is None and not shift) else (sha256, None if shift else batch)
        self._until = time.monotonic() + config.shift_hours * 3600 - found.age_s
        self._tell()

    def state(self) -> dict[str, Any] | None:
        """What pages show; None where the recipe has no challenge. `due` says why nothing passes now, `next` why no
        batch can begin."""
        config = self.config
        if config is None:
            return None
        run = self._open
        waits = config.every == "batch" and self._service.station.batch is None
        return {
            "kit": config.kit, "every": config.every, "due": self._due(), "next": self._why if waits else "",
            "overridden": self._overridden, "run": run.described() if run else None,
        }  # fmt: skip

    @property
    def _recipe_sha256(self) -> str:
        return str(self._service.line.admission.get("recipe_sha256", ""))

    def _due(self) -> str:
        """Why nothing can pass now. Without a batch that is no alarm until a unit came by all the same."""
        config = self.config
        if config is None or config.every == "none":
            return ""
        batch = self._service.station.batch
        if config.every == "batch" and batch is None and not self._blocked_one:
            return ""
        return self._why_not(batch)

    def _tell(self) -> None:
        if not self._due():
            self._blocked_one = False
        alarms = self._service.alarms
        alarms.set(DUE, self._due())
        alarms.set(OVERRIDDEN, self._overridden)

    def _kit(self) -> tuple[Version, Kit]:
        config = self.config
        if config is None:
            raise ChallengeRefused("the recipe that runs names no challenge kit; see `challenge` in the recipe")
        archive = self._service.archive
        version = approved_kit(read_versions(archive), config)
        kit = kept_kit(archive, version)
        product = self._service.line.recipe.product
        if kit.product != product:
            raise ChallengeRefused(f"{version.label} is for product {kit.product!r}, and the line runs {product!r}")
        return version, kit

    def _one_run(self) -> "_Run":
        if self._open or not self._running.acquire(blocking=False):
            raise ChallengeRefused("another challenge run is under way; let it come to its end")
        return _Run(self._running)

    def _clearance(self, config: ChallengeConfig, batch: str | None, *, running: bool = False) -> Clearance:
        station = self._service.station.recipe.station
        return clearance(self._service.archive, station, config, self._recipe_sha256, batch, running=running)

    def _end(self, run: LineRun) -> None:
        try:
            self._finish(run, "")
        except ArchiveFault as error:
            self._service.alarms.set("archive_fault", str(error))

    def _finish(self, run: LineRun, message: str) -> Entry:
        units = {unit.id: unit for unit in run.kit.units}
        missing = "it did not come, or was not decided"
        results = [run.results.get(one) or result_of(units[one], None, None, message=missing) for one in run.order]
        try:
            return finish(self._service.station, run.started, run.kit, results, message)
        finally:
            self.refresh()


class _Run:
    """Holds the lock of runs while a block goes on."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _override_text(said: dict[str, Any]) -> str:
    return f"{said['by']} has overridden the challenge of this station: {said['why']} [{said['record']}]"
