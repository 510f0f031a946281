"""Batches, their reports and signatures."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from inspection.accounts.roles import Permission
from inspection.archive import Archive
from inspection.batch_account import BatchAccount, batch_account
from inspection.batch_list import find_batches, open_batches, unbegun_batches
from inspection.batch_totals import BatchMissing
from inspection.registry.items import read_versions
from inspection.signatures import meanings_for
from inspection.verdict import Outcome
from serve.authentication import Who
from serve.deps import Allowed, ArchiveDep, ServiceDep
from serve.descriptions import describe_entry
from serve.pages.audit import event_names
from serve.pages.page import fragment, page
from serve.problems import Problem
from serve.templating import texts_of
from serve.texts import Texts

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.VIEW))]
_Text = Annotated[str, Query(max_length=128)]
_PAGE = 25
_MEANINGS = ("reviewed", "approved", "released", "rejected")


@router.get("/batches", response_class=HTMLResponse)
def show(
    request: Request, service: ServiceDep, archive: ArchiveDep, who: Reader,
    text: _Text = "", before: _Text = "", unbegun: Annotated[str | None, Query(max_length=128)] = None,
) -> HTMLResponse:  # fmt: skip
    """All batches, the running one on top; for htmx the rows alone. `unbegun` asks for names that nobody began, from
    the one behind it on."""
    text, by_htmx = text.strip(), "hx-request" in request.headers
    if unbegun is not None and by_htmx:
        names, after = unbegun_batches(archive, text, unbegun, _PAGE)
        return fragment(request, "_unbegun_rows", names=names, after=after, text=text)
    found = find_batches(archive, text, before, _PAGE + 1)
    more = found[_PAGE - 1].key if len(found) > _PAGE else ""
    context: dict[str, Any] = {"found": found[:_PAGE], "more": more, "text": text}
    if by_htmx:
        return fragment(request, "_batch_rows", **context)
    names, after = unbegun_batches(archive, text, unbegun or "", _PAGE)
    return page(
        request, service, who, "batches", running=open_batches(archive), own=_own(service.batches.current, service),
        names=names, after=after, before=before, **context,
    )  # fmt: skip


def _own(current: str | None, service: ServiceDep) -> str | None:
    """The batch that runs here and was begun by a person; a recipe's is not ended by one."""
    return current if current and current != service.line.recipe.batch else None


@dataclass(frozen=True)
class Objection:
    """Something on record that stands against releasing a batch, in a sentence; `grave` where it must be explained."""

    sentence: str
    grave: bool = True


@router.get("/batches/{batch:path}", response_class=HTMLResponse)
def report(batch: str, request: Request, service: ServiceDep, archive: ArchiveDep, who: Reader) -> HTMLResponse:
    """A batch's report."""
    try:
        account = batch_account(archive, batch)
    except BatchMissing as error:
        raise Problem(404, error.code, str(error)) from error
    t = texts_of(request)
    own = _own(service.batches.current, service)
    may = [one for one in meanings_for(who.permissions) if one in _MEANINGS]
    given = {one.meaning for one in account.signatures if one.by == who.name}
    return page(
        request, service, who, "batch", account=account, totals=account.totals, what=event_names(t), runs=own == batch,
        packages=_packages(archive, service), objections=_objections(account, t),
        worst=[describe_entry(one) for one in account.worst], signable=[one for one in may if one not in given],
        after=(datetime.fromisoformat(account.last_at) + timedelta(seconds=1)).isoformat()[:19],
        unsignable=_unsignable(account, who, may, given, t), shares=_shares(account),
    )  # fmt: skip


def _shares(account: BatchAccount) -> dict[str, float]:
    units = account.totals.units
    return {name: account.totals.outcomes[name] / units if units else 0.0 for name in Outcome}


def _packages(archive: Archive, service: ServiceDep) -> dict[str, tuple[str, str, bool]]:
    """Name, version, and whether the registry has it, of packages by their digest."""
    package = service.line.detector.package
    known = {package.digest: (package.manifest.name, package.manifest.version, False)}
    for version in read_versions(archive).values():
        if version.kind == "package":
            known[version.digest] = (version.name, version.version, True)
    return known


def _objections(account: BatchAccount, t: Texts) -> list[Objection]:
    totals = account.totals
    found = []
    if account.stopped is None:
        found.append(Objection(t("batches.not_ended" if account.started else "batches.never_begun")))
    elif not account.reconciled:
        missing = None if account.triggered is None else account.triggered - totals.units
        key = "batches.not_counted" if missing is None else "batches.too_few" if missing > 0 else "batches.too_many"
        key = "batches.fitted_not" if missing == 0 else key
        found.append(Objection(t(key, triggered=account.triggered, units=totals.units, missing=abs(missing or 0))))
    if account.challenge and account.challenge.get("overridden"):
        found.append(Objection(t("batches.challenge_overridden", name=account.challenge.get("by"))))
    if totals.open_reviews:
        found.append(Objection(t("batches.open_reviews", units=totals.open_reviews)))
    rejected = [one.severity for one in account.acceptance if one.decision == "reject"]
    if rejected:
        named = ", ".join(t(f"batches.severity_{one}") for one in rejected)
        found.append(Objection(t("batches.sample_rejects", severities=named)))
    missing = max((one.missing for one in account.acceptance), default=0)
    if missing:
        found.append(Objection(t("batches.sample_missing", units=missing), grave=False))
    found += [Objection(t("base.signature_broken", fault=one.fault)) for one in account.signatures if one.fault]
    if any(head.signed is None for head in account.heads):
        found.append(Objection(t("batches.head_unsigned"), grave=False))
    return found


def _unsignable(account: BatchAccount, who: Who, may: list[str], given: set[str], t: Texts) -> str:
    """Why the reader cannot sign it now, or an empty text."""
    if account.stopped is None:
        return t("batches.sign_when_ended" if account.started else "batches.never_ended")
    if who.session is None or not may:
        return t("batches.sign_not_permitted", name=who.name)
    return t("batches.signed_all", name=who.name) if set(may) <= given else ""
