"""`inspection archive`: what makes an archive out of something else."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inspection.commands.options import ask_password, system_user
from inspection.errors import BadUsage

if TYPE_CHECKING:
    from inspection.importing.mapping import Mapping
    from inspection.importing.survey import Counts, Survey

_PARTS = ("image", "unit", "time", "verdict", "batch", "reason", "score", "camera", "truth", "reviewer")
_SHOWN = 20


@click.group()
def archive() -> None:
    """Make an archive out of what another system left."""


def _columns(command: Any) -> Any:
    for part in reversed(_PARTS):
        default = f" [default: {part}]" if part in _PARTS[:4] else ""
        command = click.option(f"--{part}-column", help=f"The column of the {part}{default}.")(command)
    return command


@archive.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--decisions", required=True, type=click.Path(path_type=Path), help="The CSV file of decisions.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The archive; made where there is none.")
@click.option("--station", default="imported", show_default=True, help="The chain that the records go into.")
@click.option("--product", required=True, help="The units' product.")
@click.option("--mapping", "mapping_file", type=click.Path(path_type=Path), help="A YAML file instead of options.")
@_columns
@click.option("--verdict", "verdicts", multiple=True, metavar="WORD=OUTCOME", help="What a word means; repeated.")
@click.option("--reason", "reasons", multiple=True, metavar="WORD=CODE", help="A reason's code; repeated.")
@click.option("--batch", help="The batch of rows that name none.")
@click.option("--camera", help="The camera of rows that name none.")
@click.option("--reviewer", help="Whose the labels are where no column says it.")
@click.option("--timezone", help="The zone of times without one, e.g. Europe/Berlin.")
@click.option("--time-format", help="How times are written, as strptime has it [default: ISO 8601].")
@click.option("--ambiguous", type=click.Choice(["earlier", "later"]), help="The hour that autumn's clock shows twice.")
@click.option("--delimiter", help="Between columns [default: a comma].")
@click.option("--encoding", help="Of the file [default: utf-8].")
@click.option("--strip", help="What each image's path begins with and the folder does not have.")
@click.option("--several-images", is_flag=True, help="Rows of the same unit are its images.")
@click.option("--dry-run", is_flag=True, help="Only say what would be imported, and what does not fit.")
@click.option("--skip-bad", is_flag=True, help="Leave out units with a row that does not fit, and list the rows.")
@click.option("--bad-rows", type=click.Path(path_type=Path), help="Where they are listed [default: OUT-bad-rows.csv].")
@click.option("--as", "by", help="Your user name, where the archive has accounts.")
@click.option("--password-file", type=click.Path(path_type=Path), help="A file with your password.")
@click.option("--why", default="import of earlier decisions", show_default=True, help="The reason, for the trail.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def import_(
    folder: Path, decisions: Path, out: Path, station: str, product: str, mapping_file: Path | None, dry_run: bool,
    skip_bad: bool, bad_rows: Path | None, by: str | None, password_file: Path | None, why: str, quiet: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Put the images of FOLDER with another system's decisions on record, so that they can be inspected again.

    Nothing is written unless all rows fit, or with --skip-bad. Interrupted, the same command goes on; rows that were
    imported are not imported twice. The records say that they are imported, from which line of which file.
    """
    from tqdm import tqdm

    from inspection.archive import STATION_NAME, Archive, refuse_inside
    from inspection.archive_settings import DATABASE_FILE, SETTINGS_FILE
    from inspection.importing.run import Import
    from inspection.importing.survey import ImportRefused, Survey
    from inspection.records import AUDIT
    from inspection.signing import sign_heads, signing_key

    if not STATION_NAME.fullmatch(station):
        raise BadUsage(f"--station {station!r} is not a name of letters, digits, dots, dashes, up to 64")
    if not product.strip() or len(product) > 128:
        raise BadUsage("--product has 1 to 128 characters")
    mapping = read_mapping_options(mapping_file, options)
    listed = bad_rows or out.with_name(f"{out.name}-bad-rows.csv")
    refuse_inside(out, listed, "--bad-rows", "file")
    there = any((out / name).is_file() for name in (DATABASE_FILE, SETTINGS_FILE))
    with Survey(folder, decisions, mapping) as survey:
        with tqdm(desc="reading", unit="unit", disable=True if quiet else None) as bar:

            def read(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            if there:
                with Archive(out, read_only=True) as opened:
                    counts = survey.run(opened, station, read)
            else:
                counts = survey.run(None, station, read)
        click.echo(_said(counts, dry_run))
        _tell_bad(survey, counts, listed, to_file=bool(bad_rows) or (skip_bad and not dry_run))
        if dry_run:
            return
        if counts.bad and not skip_bad:
            raise ImportRefused(f"{counts.bad} rows do not fit, and nothing was imported; mend them, or --skip-bad")
        with Archive(out) as opened:
            who = _who(opened, by, password_file)
            with tqdm(total=counts.units, desc="importing", unit="unit", disable=True if quiet else None) as bar:
                entry = Import(opened, survey, station, product, who, why).run(lambda done: bar.update(done - bar.n))
            if entry is None:
                click.echo("nothing new: all of it is in the archive")
                return
            sign_heads(opened, signing_key(opened), [station, AUDIT])
    said = entry.details
    click.echo(f"imported {said['units']} units, {said['images']} images, {said['reviews']} reviews; {entry.name}")


def read_mapping_options(file: Path | None, options: dict[str, Any]) -> "Mapping":
    """The mapping in a YAML file with the options over it. Raises ConfigInvalid and BadUsage."""
    from inspection.config import read_mapping, validate
    from inspection.importing.mapping import Mapping

    content = read_mapping(file, ", ".join(Mapping.model_fields)) if file else {}
    columns = {part: name for part in _PARTS if (name := options.pop(f"{part}_column")) is not None}
    words = {"verdicts": options.pop("verdicts"), "reasons": options.pop("reasons")}
    given = {key: value for key, value in options.items() if value not in (None, False)}
    for key, pairs in words.items():
        split = [pair.rpartition("=") for pair in pairs]
        if unfit := next((pair for pair, (word, _, _) in zip(pairs, split, strict=True) if not word), None):
            raise BadUsage(f"{unfit!r} says no word and its meaning; write WORD=MEANING")
        if pairs:
            given[key] = dict(content.get(key) or {}) | {word: meaning for word, _, meaning in split}
    if columns:
        given["columns"] = dict(content.get("columns") or {}) | columns
    return validate(content | given, Mapping, str(file) if file else "the options")


def _who(archive: Any, by: str | None, password_file: Path | None) -> str:
    """Who imports: an engineer, or, where nobody has an account yet, whoever runs the command."""
    from inspection.accounts.authorise import authorise
    from inspection.accounts.roles import Permission
    from inspection.accounts.users import has_users

    if not has_users(archive):
        return system_user()
    if by is None:
        raise BadUsage("this archive has accounts; say who you are with --as NAME")
    return authorise(archive, by, ask_password(password_file), Permission.DEVELOP, "import").name


def _said(counts: "Counts", dry_run: bool) -> str:
    would = "would be " if dry_run else "to be "
    outcomes = ", ".join(f"{number} {name}" for name, number in sorted(counts.outcomes.items())) or "none"
    lines = [f"{counts.units} units {would}imported ({outcomes}), {counts.images} images, {counts.reviews} reviews"]
    if counts.first_at and counts.last_at:
        lines.append(f"  from {counts.first_at[:19]} to {counts.last_at[:19]} UTC")
    if counts.already:
        lines.append(f"  {counts.already} units were imported before")
    return "\n".join(lines)


def _tell_bad(survey: "Survey", counts: "Counts", file: Path, *, to_file: bool) -> None:
    """The first rows that do not fit for a person, and all of them in a file."""
    import csv

    from inspection.errors import OutputNotWritable

    for number, bad in enumerate(survey.bad()):
        if number == _SHOWN:
            click.echo(f"  … and {counts.bad - _SHOWN} more", err=True)
            break
        click.echo(f"  line {bad.line}: {bad.why}", err=True)
    if not counts.bad or not to_file:
        return
    temporary = file.with_name(f".{file.name}.part")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(("line", "why"))
            writer.writerows((bad.line, bad.why) for bad in survey.bad())
        temporary.replace(file)
    except OSError as error:
        raise OutputNotWritable(f"{file} cannot be written ({error.strerror}); name another --bad-rows") from error
    click.echo(f"{counts.bad} rows do not fit; all are listed in {file}", err=True)
