"""Roles and what they permit. One table: the service, the command line and the tests read it."""

from collections.abc import Iterable
from enum import StrEnum

from inspection.errors import InspectionError


class RoleUnknown(InspectionError):
    """A role or scope that does not exist, or that does not go together with another."""

    code = "role_unknown"


class Permission(StrEnum):
    """What can be permitted. A machine's token has some of `SCOPES` instead of a role."""

    VIEW = "view"  # see the station, records and images
    INSPECT = "inspect"  # give units and frames to be inspected
    OPERATE = "operate"  # start and stop batches, go on after a stop, change over
    REVIEW = "review"  # decide on units
    EXPORT = "export"  # take images out of the archive as a training set
    SIGN = "sign"  # sign records
    DEVELOP = "develop"  # register packages and recipes, and have them evaluated
    APPROVE = "approve"  # approve, activate, retire and roll back
    AUDIT = "audit"  # read the audit trail
    RETAIN = "retain"  # apply retention rules
    ADMINISTER = "administer"  # accounts, tokens, settings
    METRICS = "metrics"  # read what is measured


class Role(StrEnum):
    """What people are."""

    OPERATOR = "operator"
    REVIEWER = "reviewer"
    QUALITY = "quality"
    ENGINEER = "engineer"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


_P = Permission
PERMITTED: dict[Role, frozenset[Permission]] = {
    Role.OPERATOR: frozenset({_P.VIEW, _P.INSPECT, _P.OPERATE, _P.METRICS}),
    Role.REVIEWER: frozenset({_P.VIEW, _P.REVIEW, _P.EXPORT, _P.SIGN}),
    Role.QUALITY: frozenset({_P.VIEW, _P.REVIEW, _P.EXPORT, _P.SIGN, _P.APPROVE, _P.AUDIT, _P.RETAIN, _P.METRICS}),
    Role.ENGINEER: frozenset({_P.VIEW, _P.INSPECT, _P.OPERATE, _P.EXPORT, _P.DEVELOP, _P.SIGN, _P.METRICS}),
    Role.ADMINISTRATOR: frozenset({_P.VIEW, _P.ADMINISTER, _P.AUDIT, _P.METRICS}),
    Role.AUDITOR: frozenset({_P.VIEW, _P.AUDIT}),
}
# What a machine may do. Nothing that a person answers for.
SCOPES = frozenset({_P.VIEW, _P.INSPECT, _P.OPERATE, _P.AUDIT, _P.METRICS})


def permitted(roles: Iterable[Role]) -> frozenset[Permission]:
    """All that the roles permit together."""
    return frozenset().union(*(PERMITTED[role] for role in roles))


def read_roles(names: Iterable[str]) -> tuple[Role, ...]:
    """Roles by their names, at least one. Who administers accounts has no other role than to read, or they could make
    themselves whatever approves. Raises RoleUnknown."""
    known = ", ".join(Role)
    try:
        roles = tuple(sorted({Role(name) for name in names}))
    except ValueError as error:
        raise RoleUnknown(f"{error.args[0].split(' is ')[0]} is no role; choose of {known}") from error
    if not roles:
        raise RoleUnknown(f"an account has at least one role of {known}")
    if Role.ADMINISTRATOR in roles and set(roles) - {Role.ADMINISTRATOR, Role.AUDITOR}:
        raise RoleUnknown("an administrator has no other role but auditor; make a second account for the other work")
    return roles


def read_scopes(names: Iterable[str]) -> tuple[Permission, ...]:
    """A token's scopes by their names, at least one. Raises RoleUnknown."""
    names = sorted(set(names))
    unfit = [name for name in names if name not in SCOPES]
    if unfit or not names:
        said = f"{unfit[0]!r} is no scope of a token" if unfit else "a token has at least one scope"
        raise RoleUnknown(f"{said}; choose of {', '.join(sorted(SCOPES))}")
    return tuple(Permission(name) for name in names)
