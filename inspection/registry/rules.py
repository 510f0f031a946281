"""The rules of change control, without any signature: which steps a version may take, and what a step changes."""

from collections.abc import Callable, Iterable

from inspection.accounts.roles import Permission
from inspection.errors import InspectionError
from inspection.registry.items import Kind, State, Version, Versions

# Step: the state before, the state after, and who may take it.
NEXT = {
    "evaluated": (State.DRAFT, State.EVALUATED, Permission.DEVELOP),
    "approved": (State.EVALUATED, State.APPROVED, Permission.APPROVE),
    "activated": (State.APPROVED, State.ACTIVE, Permission.APPROVE),
}
FURTHER = ("evaluated", "approved", "activated", "rolled_back", "retired")


class StepRefused(InspectionError):
    """A package or recipe cannot take this step, or not by this person. `key` names the sentence for pages, whose texts
    may be in another language, and `values` fill it in."""

    code = "step_refused"

    def __init__(self, sentence: str, key: str = "", **values: str) -> None:
        super().__init__(sentence)
        self.key, self.values = key, values


def refusal(
    step: str, one: Version, versions: Versions, by: str, permissions: frozenset[Permission]
) -> StepRefused | None:
    """Why `by`, who has these permissions, cannot take a step with a version now; None where they can. What a step
    needs beside (a report, a password) is not looked at."""
    needed = NEXT[step][2] if step in NEXT else Permission.APPROVE
    try:
        check(step, one, versions, by)
    except StepRefused as error:
        return error
    if needed in permissions:
        return None
    return StepRefused(f"{by} may not: it needs the permission to {needed}", "permission", by=by, permission=needed)


def check(step: str, one: Version, versions: Versions, by: str) -> None:
    """Raises StepRefused where the step is out of order, or not this person's."""
    wanted = NEXT[step][0] if step in NEXT else one.state
    if one.kind == "kit":
        if step not in ("approved", "retired"):
            raise StepRefused(f"{one.label} is a challenge kit, which is registered and approved, not {step}")
        wanted = State.DRAFT if step == "approved" else wanted
    if one.state != wanted:
        raise StepRefused(
            f"{one.label} is {one.state}; only what is {wanted} can be {step}",
            "state", state=one.state, wanted=wanted,
        )  # fmt: skip
    _CHECKS[step](one, versions, by)


def _evaluated(one: Version, versions: Versions, by: str) -> None:  # noqa: ARG001
    packages_at_least(one, versions, (State.EVALUATED, State.APPROVED, State.ACTIVE))


def _approved(one: Version, versions: Versions, by: str) -> None:
    own = sorted({step.step for step in one.steps if step.by == by})
    if own:
        said = " and ".join(own)
        raise StepRefused(f"{by} has {said} {one.label}: nobody approves their own work", "own", by=by, step=own[0])
    packages_at_least(one, versions, (State.APPROVED, State.ACTIVE))


def _activated(one: Version, versions: Versions, by: str) -> None:  # noqa: ARG001
    if one.kind != "recipe":
        raise StepRefused(f"{one.label} becomes active with a recipe that has it", "with_recipe")
    packages_at_least(one, versions, (State.APPROVED, State.ACTIVE))


def _retired(one: Version, versions: Versions, by: str) -> None:  # noqa: ARG001
    retire(one, versions)


def _rolled_back(one: Version, versions: Versions, by: str) -> None:  # noqa: ARG001
    if not is_active(one):
        raise StepRefused(
            f"{one.label} is {one.state}; only an active recipe can be rolled back", "not_active", state=one.state
        )
    roll_back(one.name, versions, one.station)


_CHECKS: dict[str, Callable[[Version, Versions, str], None]] = {
    "evaluated": _evaluated, "approved": _approved, "activated": _activated, "retired": _retired,
    "rolled_back": _rolled_back,
}  # fmt: skip


def roll_back(name: str, versions: Versions, station: str | None = None) -> list[tuple[Version, State]]:
    """The recipe that was active before runs again, and the one that is now is retired. `station` says which one where
    several run recipes of that name. Raises StepRefused."""
    active = [one for one in versions.values() if one.name == name and is_active(one)]
    active = [one for one in active if station in (None, one.station)]
    if not active:
        raise StepRefused(f"no version of recipe {name} is active, so none can be rolled back", "none_active")
    if len(active) > 1:
        several = ", ".join(sorted(str(one.station) for one in active))
        raise StepRefused(f"recipe {name} is active on the stations {several}; say which one is meant")
    [now] = active
    before = active_before(now, versions)
    if before is None:
        raise StepRefused(f"no version of recipe {name} was active before {now.version}", "none_before")
    return activate(before, versions)


def next_version(versions: Versions, kind: Kind, name: str) -> str:
    """The version after the highest of this name: its last number raised by one."""
    known = [one.version for one in versions.values() if (one.kind, one.name) == (kind, name)]
    numbers = max((tuple(map(int, version.split("."))) for version in known), default=(0, 0, 0))
    return ".".join(map(str, (*numbers[:-1], numbers[-1] + 1)))


def activate(one: Version, versions: Versions) -> list[tuple[Version, State]]:
    """The recipe and its packages become active; what ran in its place is retired."""
    active = [other for other in versions.values() if is_active(other) and other is not one]
    replaced = [other for other in active if (other.name, other.station) == (one.name, one.station)]
    staying = [other for other in active if other not in replaced]
    used = {digest for other in (one, *staying) for digest in other.packages}
    packages = [other for other in versions.values() if other.kind == "package"]
    started = [other for other in packages if other.digest in one.packages and other.state != State.ACTIVE]
    ended = [other for other in packages if other.state == State.ACTIVE and other.digest not in used]
    return [(one, State.ACTIVE), *((other, State.ACTIVE) for other in started),
            *((other, State.RETIRED) for other in (*replaced, *ended))]  # fmt: skip


def retire(one: Version, versions: Versions) -> list[tuple[Version, State]]:
    """A version is not used any more; nor are the packages that only this active recipe had. Raises StepRefused."""
    if one.state == State.RETIRED:
        raise StepRefused(f"{one.label} is retired already", "retired")
    users = [other.label for other in versions.values() if is_active(other) and one.digest in other.packages]
    if users:
        raise StepRefused(f"{one.label} is used by {users[0]}; retire or replace that first", "used", by=users[0])
    changed = [(one, State.RETIRED)]
    if is_active(one):
        used = {
            digest for other in versions.values() if is_active(other) and other is not one for digest in other.packages
        }
        changed += [
            (other, State.RETIRED)
            for other in versions.values()
            if other.kind == "package" and other.state == State.ACTIVE and other.digest not in used
        ]
    return changed


def active_before(now: Version, versions: Versions) -> Version | None:
    """The version of the same recipe that was active last before this one, and was not retired on purpose."""
    others = [
        (step.at, one)
        for one in versions.values()
        if one is not now and (one.kind, one.name, one.station) == (now.kind, now.name, now.station)
        for step in one.steps
        if step.old == State.ACTIVE and step.new == State.RETIRED
        if one.steps[-1].step != "retired"
    ]
    return max(others, key=lambda pair: pair[0])[1] if others else None


def is_active(one: Version) -> bool:
    """Whether it is a recipe that runs."""
    return one.kind == "recipe" and one.state == State.ACTIVE


def packages_at_least(one: Version, versions: Versions, states: Iterable[State]) -> None:
    """Raises StepRefused where a recipe's package is not registered, or not as far."""
    by_digest = {other.digest: other for other in versions.values() if other.kind == "package"}
    for digest in one.packages:
        package = by_digest.get(digest)
        if package is None:
            raise StepRefused(
                f"{one.label} runs the package {digest[:12]}…, which is not registered; register it first",
                "package_unknown", package=digest[:12],
            )  # fmt: skip
        if package.state not in states:
            raise StepRefused(
                f"{one.label} runs {package.label}, which is {package.state}; its turn comes first",
                "package_first", package=f"{package.name} {package.version}", state=package.state,
            )  # fmt: skip
