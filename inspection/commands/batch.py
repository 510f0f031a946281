"""`inspection batch`: a batch in numbers, and what is to be looked at before it may go."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspection.commands.options import system_user
from inspection.sampling import LEVELS, Level

if TYPE_CHECKING:
    from inspection.manifest import Severity


@click.command()
@click.argument("batch")
@click.option("--archive", required=True, type=click.Path(path_type=Path), help="The archive's folder.")
@click.option(
    "--aql",
    "limits",
    multiple=True,
    default=("critical=0.065", "major=0.65", "minor=2.5"),
    show_default=True,
    help="Acceptance quality limit in percent of a severity; may be repeated.",
)
@click.option("--level", default="II", show_default=True, type=click.Choice(LEVELS), help="How large samples are.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the numbers here, or to standard output (-).",
)
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Write the batch report: a .pdf or a .json."
)
def batch(
    batch: str, archive: Path, limits: tuple[str, ...], level: Level, json_file: Path | None, report: Path | None
) -> None:
    """Count BATCH's units by outcome, reason and severity of their defects, and say how many of the ones that passed a
    person must look at by ISO 2859-1 (single sampling, normal inspection).

    `inspection review` records what was seen. A defect that the unit was not inspected for counts as critical. The
    archive is only read.
    """
    from dataclasses import asdict

    from inspection.archive import Archive, refuse_inside
    from inspection.batch_totals import acceptance, batch_totals
    from inspection.json_files import STANDARD_OUTPUT, write_json

    aqls = _aqls(limits)
    if json_file:
        refuse_inside(archive, json_file, "--json", "file")
    if report:
        refuse_inside(archive, report, "--report", "file")
        _report(archive, batch, report)
    with Archive(archive, read_only=True) as opened:
        totals = batch_totals(opened, batch)
    rows = acceptance(totals, aqls, level)
    if json_file:
        table = [asdict(row) | {"decision": row.decision, "missing": row.missing} for row in rows]
        write_json(json_file, asdict(totals) | {"level": level, "acceptance": table})
    if json_file == STANDARD_OUTPUT:
        return
    click.echo(f"batch {batch}: {totals.units} units: {_counts(totals.outcomes)}")
    click.echo(f"  reasons: {_counts(totals.reasons)}")
    click.echo(f"  worst defect named of those that did not pass: {_counts(totals.severities)}")
    passed = totals.outcomes["PASS"]
    click.echo(f"  of the {passed} that passed a person looked at {totals.sampled} and found {_counts(totals.found)}")
    click.echo(f"  sampling level {level}; draw the sample at random:")
    click.echo("  severity   AQL %  sample  accept  reject  found")
    for row in rows:
        plan = (row.plan.sample, row.plan.accept, row.plan.reject) if row.plan else ("-", "-", "-")
        words = f"look at {row.missing} more" if row.missing else "too few units" if not row.plan else row.decision
        click.echo(
            f"  {row.severity:<9} {row.aql:>6g} {plan[0]:>7} {plan[1]:>7} {plan[2]:>7} {row.found:>6}  "
            f"{row.decision if row.decision == 'reject' else words}"
        )


def _report(folder: Path, batch: str, file: Path) -> None:
    from inspection.archive import Archive
    from inspection.batch_account import batch_account
    from inspection.errors import BadUsage
    from inspection.files import write_durably
    from inspection.json_files import json_bytes

    if file.suffix.lower() not in (".pdf", ".json"):
        raise BadUsage(f"--report {file} must end in .pdf or .json")
    with Archive(folder, read_only=True) as opened:
        account = batch_account(opened, batch)
        if file.suffix.lower() == ".json":
            data = json_bytes(account.plain())
        else:
            from inspection.batch_pdf import batch_pdf

            data = batch_pdf(opened, account, system_user())
    write_durably(file, data)


def _aqls(limits: tuple[str, ...]) -> "dict[Severity, float]":
    from inspection.errors import BadUsage
    from inspection.record_findings import SEVERITIES

    known = {str(name): name for name in SEVERITIES}
    aqls: dict[Severity, float] = {}
    for text in limits:
        name, _, value = text.partition("=")
        try:
            aqls[known[name]] = float(value)
        except (KeyError, ValueError) as error:
            raise BadUsage(f"--aql wants a severity and percent, such as major=0.65, got {text!r}") from error
    return aqls


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())
