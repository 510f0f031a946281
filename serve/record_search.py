"""What an address or a form asks for among units' records, as a search."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Query

from inspection.archive import Archive
from inspection.registry.items import read_versions
from inspection.schema import entries
from inspection.search_choices import skipped
from inspection.search_query import NOT_PASSED, ORDERS, RecordQuery, SearchInvalid, utc_moment
from inspection.verdict import Outcome
from serve.service import Service

TEXTS = ("batch", "outcome", "reason", "defect", "recipe", "product", "station", "unit", "reviewed")
FILTERS = ("batch", "outcome", "reason", "since", "until", "min_score", "max_score", "defect", "package", "recipe",
           "product", "station", "unit", "reviewed")  # fmt: skip
_LONGEST = 128
_Text = Annotated[str, Query(max_length=_LONGEST)]


@dataclass(frozen=True)
class Wanted:
    """What stood in the address: `given` has the filters that say something, `order` how they are shown."""

    given: dict[str, str]
    order: str = ORDERS[0]

    def address(self, **changed: str | None) -> str:
        """The address of the page with these filters, some of them changed or, with None, left out."""
        said = {name: value for name, value in (self.given | {"order": self.order} | changed).items() if value}
        if said.get("order") == ORDERS[0]:
            del said["order"]
        return "?" + urlencode(said) if said else ""


def wanted_of(values: Mapping[str, str]) -> Wanted:
    """What an address's values ask for; empty ones and others than filters say nothing."""
    return Wanted({name: values[name].strip() for name in FILTERS if values.get(name, "").strip()},
                  values.get("order") or ORDERS[0])  # fmt: skip


def query_of(service: Service, wanted: Wanted) -> RecordQuery:
    """The search. Raises SearchInvalid with a sentence for what cannot be understood."""
    given = wanted.given
    for name, value in given.items():
        if not value.isprintable() or len(value) > _LONGEST:
            raise SearchInvalid(f"{name} has signs that no record has, or more than {_LONGEST}; write it anew")
    outcomes = [*Outcome, NOT_PASSED]
    if given.get("outcome", NOT_PASSED) not in outcomes:
        raise SearchInvalid(f"{given['outcome']!r} is no verdict; choose of {', '.join(outcomes)}")
    if wanted.order not in ORDERS:
        raise SearchInvalid(f"{wanted.order!r} is no order; choose of {', '.join(ORDERS)}")
    low, high = (_number(name, given[name]) if name in given else None for name in ("min_score", "max_score"))
    since, until = (utc_moment(given[name]) if name in given else None for name in ("since", "until"))
    if (low is not None and high is not None and low > high) or (since and until and since >= until):
        raise SearchInvalid("the lower end is above the upper one; exchange them")
    return RecordQuery(
        **{name: given[name] for name in TEXTS if name in given}, since=since, until=until, min_score=low,
        max_score=high, packages=_packages(service, given["package"]) if "package" in given else (),
        order=next(one for one in ORDERS if one == wanted.order),
    )  # fmt: skip


def package_names(service: Service, archive: Archive) -> dict[str, str]:
    """Name and version of each known package by its digest."""
    ran = service.station.detector.package
    names = {ran.digest: f"{ran.manifest.name} {ran.manifest.version}"}
    versions = read_versions(archive).values()
    return names | {one.digest: f"{one.name} {one.version}" for one in versions if one.kind == "package"}


def _packages(service: Service, text: str) -> tuple[str, ...]:
    """Digests of what is named by name, by name and version, by a digest or by its first six signs."""
    low = text.lower()
    if len(low) == 64 and not set(low) - set("0123456789abcdef"):
        return (low,)
    names = package_names(service, service.archive)
    named = [digest for digest, name in names.items() if text in (name, name.rpartition(" ")[0])]
    if not named and len(low) >= 6:
        with service.archive.reader() as connection:
            known = {*names, *skipped(connection, entries.c.package)}
        named = [digest for digest in known if digest.startswith(low)]
    if not named:
        raise SearchInvalid(f"no package is called {text!r}; give name and version, or its SHA-256")
    return tuple(sorted(named))


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SearchInvalid(f"{name} is a number such as 14.5, got {text!r}")
    return value


def _asked(
    batch: _Text = "", outcome: _Text = "", reason: _Text = "", since: _Text = "", until: _Text = "",
    min_score: _Text = "", max_score: _Text = "", defect: _Text = "", package: _Text = "", recipe: _Text = "",
    product: _Text = "", station: _Text = "", unit: _Text = "", reviewed: _Text = "", order: _Text = "",
) -> Wanted:  # fmt: skip
    return wanted_of(locals())


WantedDep = Annotated[Wanted, Depends(_asked)]
