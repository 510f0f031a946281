"""`inspection shadow`: what a candidate found beside the active package on the line."""

from pathlib import Path

import click


@click.group()
def shadow() -> None:
    """A candidate package that ran in the shadow of the active one (the recipe's key `shadow`)."""


@shadow.command()
@click.option("--archive", required=True, type=click.Path(path_type=Path), help="The archive's folder; only read.")
@click.option("--candidate", default="", help="The beginning of its SHA-256, or of a trial's id [default: the newest].")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="The report's folder.")
@click.option("--margin-detection", default=0.01, show_default=True, help="By less than this may detection fall.")
@click.option(
    "--margin-false-reject", default=0.02, show_default=True, help="By less than this may false rejects rise."
)
@click.option("--confidence", default=0.95, show_default=True, help="Of the intervals; tests are one-sided.")
def report(
    archive: Path, candidate: str, out: Path, margin_detection: float, margin_false_reject: float, confidence: float
) -> None:
    """Write the equivalence report of a trial to --out: shadow.json, shadow.html and shadow.pdf, as `inspection
    compare` does. `inspection registry approve --shadow-report` makes its own, with the
    default margins."""
    from inspection.archive import Archive, refuse_inside
    from inspection.commands.compare import summary_lines
    from inspection.commands.options import system_user
    from inspection.equivalence.figures import Margins
    from inspection.equivalence.page import render_page
    from inspection.equivalence.paper import render_pdf
    from inspection.files import make_folder, write_durably
    from inspection.json_files import write_json
    from inspection.shadow.report import shadow_report

    margins = Margins(margin_detection, margin_false_reject, confidence)
    refuse_inside(archive, out, "--out", "folder")
    with Archive(archive, read_only=True) as opened:
        answer = shadow_report(opened, candidate, margins)
    make_folder(out)
    write_json(out / "shadow.json", answer)
    write_durably(out / "shadow.html", render_page(answer))
    write_durably(out / "shadow.pdf", render_pdf(answer, system_user()))
    click.echo("\n".join(summary_lines(answer)))
