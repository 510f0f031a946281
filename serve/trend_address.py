"""What an address asks of trends, and back: the same for the page, its charts, and the data of each."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query
from sqlalchemy import Connection, select

from inspection.errors import BadUsage
from inspection.records import utc_text
from inspection.schema import entries
from inspection.trends.control_charts import RuleSet
from inspection.trends.known import Known, known_in
from inspection.trends.query import Selection, parsed, read_subgroups
from inspection.trends.report import Asked
from serve.service import Service

_DAY = timedelta(days=1)
_PLAIN = r"^[^\x00]*$"
_Name = Annotated[str | None, Query(max_length=128, pattern=_PLAIN)]
_Time = Annotated[str | None, Query(max_length=32)]
Counted = Literal["reject", "review", "stopped"]


@dataclass(frozen=True)
class TrendAddress:
    """The query as it stands in the address."""

    batch: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    station: str | None = None
    product: str | None = None
    camera: str | None = None
    subgroup: str = "auto"
    counted: Counted = "reject"
    rules: RuleSet = "western_electric"
    weight: float = 0.2
    width: float = 2.7
    baseline: str = "auto"

    @property
    def text(self) -> str:
        """The query again, without what is as usual."""
        usual = vars(TrendAddress())
        pairs: list[tuple[str, str]] = [("batch", one) for one in self.batch]
        pairs += [(key, str(value)) for key, value in vars(self).items() if key != "batch" and value != usual[key]]
        return urlencode(pairs)

    def asked(self, connection: Connection, running: str | None, now: datetime) -> tuple[Asked, str]:
        """What is asked, and what was chosen where the address names neither batch nor time: `running_batch`,
        `last_day`, `last_recorded_day`; otherwise `chosen`. Raises BadUsage."""
        since = parsed(self.since, "since") if self.since else None
        until = parsed(self.until, "until") if self.until else None
        if since and until and since >= until:
            raise BadUsage("`since` must be before `until`")
        selection, how = Selection(self.batch, since, until, self.station, self.product), "chosen"
        if not self.batch and not since:
            selection, how = _usual(connection, selection, running, now)
        return Asked(
            selection, read_subgroups(self.subgroup), self.camera, self.counted, self.rules, self.weight, self.width,
            self.baseline,
        ), how  # fmt: skip


def _usual(connection: Connection, asked: Selection, running: str | None, now: datetime) -> tuple[Selection, str]:
    at = entries.c.recorded_at

    def newest(*conditions: object) -> str | None:
        return connection.scalar(select(at).where(*conditions).order_by(at.desc()).limit(1))  # type: ignore[arg-type]

    more = (asked.until, asked.station, asked.product)
    if running and not asked.until and newest(entries.c.batch == running, entries.c.kind == "unit"):
        return Selection((running,), None, *more), "running_batch"
    last = newest(*asked.conditions())
    day = utc_text((datetime.fromisoformat(asked.until) if asked.until else now) - _DAY)
    if last is None or last >= day:
        return Selection((), day, *more), "last_day"
    return Selection((), utc_text(datetime.fromisoformat(last) - _DAY), *more), "last_recorded_day"


def _address(
    batch: Annotated[list[Annotated[str, Query(max_length=128, pattern=_PLAIN)]] | None, Query(max_length=20)] = None,
    since: _Time = None, until: _Time = None, station: _Name = None, product: _Name = None, camera: _Name = None,
    subgroup: Annotated[str, Query(max_length=16)] = "auto", counted: Counted = "reject",
    rules: RuleSet = "western_electric", weight: Annotated[float, Query(gt=0, le=1)] = 0.2,
    width: Annotated[float, Query(gt=0, le=6)] = 2.7,
    baseline: Annotated[str, Query(max_length=140, pattern=_PLAIN)] = "auto",
) -> TrendAddress:  # fmt: skip
    return TrendAddress(
        tuple(dict.fromkeys(one for one in batch or () if one)), since or None, until or None, station or None,
        product or None, camera or None, subgroup, counted, rules, weight, width, baseline or "auto",
    )  # fmt: skip


AddressOfTrends = Annotated[TrendAddress, Depends(_address)]


def running_batch(service: Service) -> str | None:
    """The batch that the station inspects now."""
    batch: str | None = service.status()["batch"]
    return batch


def known_to(service: Service) -> Known:
    """What the service's registry and its own recipe say."""
    detector = service.line.detector
    packages = [detector.package, *([detector.classifier.package] if detector.classifier else [])]
    return known_in(service.archive, service.line.recipe, {one.digest: one.manifest for one in packages})


def now() -> datetime:
    """The time of the station."""
    return datetime.now(UTC)
