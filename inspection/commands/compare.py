"""`inspection compare`: whether a new package decides as well as an old one, from the results of both."""

from pathlib import Path
from typing import Any

import click

_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("results", nargs=-1, required=True, type=_file, metavar="OLD.parquet [NEW.parquet]")
@click.option("--old-package", help="The old package, where a table has several: name with version, or digest.")
@click.option("--new-package", help="The new package, where a table has several.")
@click.option("--truth", type=_file, help="What is known of units beside the reviews: CSV or Parquet.")
@click.option(
    "--margin-detection", default=0.01, show_default=True, help="By less than this may the detection rate fall."
)
@click.option(
    "--margin-false-reject", default=0.02, show_default=True, help="By less than this may the false-reject rate rise."
)
@click.option("--confidence", default=0.95, show_default=True, help="Of the intervals; tests are one-sided.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the answer here, or to standard output (-).",
)
@click.option("--report", type=_file, help="Write it as a page (.html).")
@click.option("--pdf", type=_file, help="Write it on paper (.pdf).")
def compare(
    results: tuple[Path, ...],
    old_package: str | None,
    new_package: str | None,
    truth: Path | None,
    margin_detection: float,
    margin_false_reject: float,
    confidence: float,
    json_file: Path | None,
    report: Path | None,
    pdf: Path | None,
) -> None:
    """Compare two packages on the units that both decided: the new outcomes of two tables of `inspection reinspect`, or
    of one table the recorded outcomes with the new ones (with --old-package, two of its packages).

    The answer is equivalent, not equivalent or not shown; without any unit whose truth is known, agrees, differs or not
    shown. State the margins before you look. Whatever the answer is, the exit code is 0.
    """
    from inspection.commands.options import system_user
    from inspection.equivalence.comparison import compare as compared
    from inspection.equivalence.figures import Margins
    from inspection.equivalence.page import render_page
    from inspection.equivalence.paper import render_pdf
    from inspection.files import make_folder, write_durably
    from inspection.json_files import STANDARD_OUTPUT, write_json

    margins = Margins(margin_detection, margin_false_reject, confidence)
    paired = _paired(results, old_package, new_package, truth)
    answer = compared(paired.pairs, margins, left_out=paired.left_out, about=paired.about).plain()
    for path, data in ((report, report and render_page(answer)), (pdf, pdf and render_pdf(answer, system_user()))):
        if path is not None:
            assert isinstance(data, bytes)
            make_folder(path.parent)
            write_durably(path, data)
    if json_file is not None:
        write_json(json_file, answer)
    if json_file != STANDARD_OUTPUT:
        click.echo("\n".join(summary_lines(answer)))


def summary_lines(answer: dict[str, Any]) -> list[str]:
    """The answer as a few lines for a person."""
    from inspection.equivalence.wording import left_out_words, rate_words

    verdict, figures = answer["verdict"], answer["figures"]
    lines = [verdict["sentence"], f"  decisions: {verdict['agreement_sentence']}"]
    for name, key in (("detection", "detection"), ("false rejects", "false_reject")):
        if figures[key]["old"]["total"]:
            lines.append(f"  {name}: {rate_words(figures[key])}")
    if answer["changes"]["escapes"]:
        lines.append("  defective units that would newly pass:")
    for one in answer["changes"]["escapes"]:
        defects = ", ".join(one["defects"]) or "defect not named"
        lines.append(f"    {one['record'] or one['unit']} ({defects}), was {one['old']}")
    lines += [f"  left out: {words}" for words in left_out_words(answer["left_out"])]
    return lines


def _paired(results: tuple[Path, ...], old_package: str | None, new_package: str | None, truth: Path | None) -> Any:
    from inspection.equivalence.results_table import decisions, file_digest, pair, read_results, read_truth
    from inspection.errors import BadUsage

    if len(results) > 2:
        raise BadUsage(f"give one or two tables of results, got {len(results)}")
    told = read_truth(truth) if truth else None
    first, last = results[0], results[-1]
    tables = {path: read_results(path) for path in dict.fromkeys(results)}
    new = decisions(tables[last], "new", new_package, str(last))
    if len(results) == 1 and old_package is None:
        old = decisions(tables[first], "old", new_package, str(first))
    else:
        old = decisions(tables[first], "new", old_package, str(first))
    found = pair(old, new, told)
    files = [{"name": str(path), "sha256": file_digest(path)} for path in (*tables, *((truth,) if truth else ()))]
    return type(found)(found.pairs, found.left_out, found.about | {"files": files})
