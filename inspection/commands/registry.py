"""`inspection registry`: change control of packages and recipes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspection.commands.options import signed_options

if TYPE_CHECKING:
    from inspection.records import Entry
    from inspection.registry.attached import ShadowReport
    from inspection.registry.items import Kind
    from inspection.registry.steps import Registry

_kind = click.argument("kind", type=click.Choice(["package", "recipe"]))
_shadow_report = click.option("--shadow-report", is_flag=True, help="Attach the shadow's report, made now.")
_despite = click.option("--despite", is_flag=True, help="Sign although a shadow's trial speaks against it.")
_reading = click.option("--archive", required=True, type=click.Path(path_type=Path), help="The archive's folder.")


@click.group()
def registry() -> None:
    """Packages and recipes from draft to active: each step is signed with your user name and password."""


@registry.command("list")
@_reading
def list_(archive: Path) -> None:
    """All versions with their states."""
    from inspection.archive import Archive
    from inspection.registry.items import read_versions

    with Archive(archive, read_only=True) as opened:
        for one in read_versions(opened).values():
            click.echo(f"{one.state:<10} {one.label}  {one.digest[:12]}…  since {one.steps[-1].at[:19]} UTC")


@registry.command()
@_kind
@click.argument("name")
@click.argument("version")
@_reading
def show(kind: "Kind", name: str, version: str, archive: Path) -> None:
    """One version: who did what when and why, where it ran, and which records it made."""
    from inspection.archive import Archive
    from inspection.registry.items import find_version, read_versions
    from inspection.registry.runs import runs_of

    with Archive(archive, read_only=True) as opened:
        one = find_version(read_versions(opened), kind, name, version)
        runs = runs_of(opened, one)
    click.echo(f"{one.label}: {one.state}\n  sha256 {one.digest}")
    for step in one.steps:
        old = f"{step.old} → " if step.old else ""
        click.echo(
            f"  {step.at[:19].replace('T', ' ')} UTC  {old}{step.new}  {step.full_name} ({step.by}): {step.why}  "
            f"[{step.record}]"
        )
        if report := step.details.get("shadow_report"):
            click.echo(f"    shadow's report {report['sha256'][:12]}…, {report['units']} units: {report['sentence']}")
            if limits := report.get("limits"):
                margins = report["margins"]
                click.echo(
                    f"      limits {limits['review_limit']:g} and {limits['reject_limit']:g}; margins: detection "
                    f"{margins['detection']:g}, false rejects {margins['false_reject']:g}, confidence "
                    f"{margins['confidence']:g}"
                )
    click.echo(f"  {len(runs)} runs")
    for run in runs:
        made = f"{run.units} records, {run.first} to {run.last}" if run.units else "no records"
        ended = run.ended_at[:19].replace("T", " ") if run.ended_at else "it runs"
        click.echo(f"  {run.station}: {run.started_at[:19].replace('T', ' ')} to {ended} UTC: {made}")


@registry.command()
@click.argument("file", type=click.Path(path_type=Path))
@signed_options
def register(file: Path, archive: Path, by: str, password: str, why: str) -> None:
    """Keep FILE as a draft: a package (.onnx), or a recipe (.yaml) with the digests of its packages."""
    with open_registry(archive, by, password) as opened:
        recipe = file.suffix.lower() in (".yaml", ".yml")
        tell_step(opened.register_recipe(file, why) if recipe else opened.register_package(file, why))


@registry.command()
@_kind
@click.argument("name")
@click.argument("version")
@click.option("--report", type=click.Path(path_type=Path), help="What `inspection evaluate --json` wrote.")
@signed_options
def evaluated(
    kind: "Kind", name: str, version: str, report: Path | None, archive: Path, by: str, password: str, why: str
) -> None:
    """A draft was evaluated; a package needs the --report."""
    with open_registry(archive, by, password) as opened:
        tell_step(opened.evaluate(kind, name, version, why, report))


@registry.command()
@_kind
@click.argument("name")
@click.argument("version")
@_shadow_report
@_despite
@signed_options
def approve(
    kind: "Kind", name: str, version: str, shadow_report: bool, despite: bool, archive: Path, by: str,
    password: str, why: str,
) -> None:  # fmt: skip
    """Approve what was evaluated; nobody approves their own work."""
    _check_despite(shadow_report, despite)
    with open_registry(archive, by, password) as opened:
        report = _made(opened, kind, name, version, despite) if shadow_report else None
        tell_step(opened.approve(kind, name, version, why, report))


@registry.command()
@click.argument("name")
@click.argument("version")
@_shadow_report
@_despite
@signed_options
def activate(
    name: str, version: str, shadow_report: bool, despite: bool, archive: Path, by: str, password: str, why: str
) -> None:
    """Let an approved recipe run, with its packages; the version of it before is retired."""
    _check_despite(shadow_report, despite)
    with open_registry(archive, by, password) as opened:
        report = _made(opened, "recipe", name, version, despite) if shadow_report else None
        tell_step(opened.activate(name, version, why, report))


@registry.command()
@_kind
@click.argument("name")
@click.argument("version")
@signed_options
def retire(kind: "Kind", name: str, version: str, archive: Path, by: str, password: str, why: str) -> None:
    """Do not use a version any more."""
    with open_registry(archive, by, password) as opened:
        tell_step(opened.retire(kind, name, version, why))


@registry.command()
@click.argument("name")
@click.option("--station", help="Which station's, where several run recipes of that name.")
@signed_options
def rollback(name: str, station: str | None, archive: Path, by: str, password: str, why: str) -> None:
    """Let the version of a recipe that was active before run again, instead of the one that is now."""
    with open_registry(archive, by, password) as opened:
        tell_step(opened.roll_back(name, why, station))


def _check_despite(shadow_report: bool, despite: bool) -> None:
    from inspection.errors import BadUsage

    if despite and not shadow_report:
        raise BadUsage("--despite is of a --shadow-report, and none was asked for")


def _made(opened: "Registry", kind: "Kind", name: str, version: str, despite: bool) -> "ShadowReport":
    from inspection.registry.items import find_version, read_versions
    from inspection.registry.trials import report_on_record

    one = find_version(read_versions(opened.archive), kind, name, version)
    return report_on_record(opened.archive, one, despite=despite)


@contextmanager
def open_registry(archive: Path, by: str, password: str) -> "Iterator[Registry]":
    """The registry for whoever signs; the trail's chain is signed at the end."""
    from inspection.accounts.sign_in import SignIn
    from inspection.archive import Archive
    from inspection.records import AUDIT
    from inspection.registry.steps import Registry
    from inspection.signatures import Signer
    from inspection.signing import sign_heads, signing_key

    with Archive(archive) as opened:
        key = signing_key(opened)
        yield Registry(opened, key, Signer(SignIn(opened), by, password))
        sign_heads(opened, key, [AUDIT])


def tell_step(entry: "Entry") -> None:
    """Say what a step changed."""
    for one in entry.details["versions"]:
        old = f"{one['old']} → " if one["old"] else ""
        click.echo(f"{one['kind']} {one['name']} {one['version']}: {old}{one['new']}  [{entry.name}]")
