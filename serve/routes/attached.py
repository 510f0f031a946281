"""A shadow's report that a signed step over HTTP has attached: made of what is on record at that moment."""

from typing import Annotated

from fastapi import Depends

from inspection.registry.attached import ShadowReport
from inspection.registry.items import VersionMissing, find_version, read_versions
from inspection.registry.kept import ContentUnreadable
from inspection.registry.rules import StepRefused
from inspection.registry.steps import Registry
from inspection.registry.trials import decides_with, weighed
from inspection.shadow.report import TrialMissing
from serve.deps import AddressDep, AuthenticationDep, ServiceDep
from serve.problems import Problem
from serve.routes.shadow import made_report
from serve.routes.signed_steps import Approver, Kind, Signed, registry_of
from serve.service import Service


class SignedAttaching(Signed):
    """A step that may have the shadow's report attached: `shadow_report` asks for that, `despite` says that it is taken
    although the report speaks against it."""

    shadow_report: bool = False
    despite: bool = False


def _approving(
    asked: SignedAttaching, service: ServiceDep, authentication: AuthenticationDep, address: AddressDep, who: Approver
) -> Registry:
    return registry_of(asked, service, authentication, address, who)


AttachingDep = Annotated[Registry, Depends(_approving)]


def attached(service: Service, kind: Kind, name: str, version: str, asked: SignedAttaching) -> ShadowReport | None:
    """The report that is asked for. Raises Problem where there is no such version, no trial that fits it, or one that
    speaks against it without `despite`."""
    if not asked.shadow_report:
        return None
    try:
        one = find_version(read_versions(service.archive), kind, name, version)
    except VersionMissing as error:
        raise Problem(404, error.code, str(error)) from error
    try:
        decides = decides_with(service.archive, one)
        answers = service.shadow_report.of_package(decides["candidate"])
        trial, against = weighed(answers, one, decides, despite=asked.despite)
    except (StepRefused, TrialMissing, ContentUnreadable) as error:
        raise Problem(409, error.code, str(error)) from error
    return ShadowReport(made_report(service, trial, "json", asked.name), asked.despite, against)
