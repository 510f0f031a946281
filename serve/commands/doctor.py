"""`inspection doctor`: whether an installation can do its work, and what to do where it cannot."""

from pathlib import Path

import click

from inspection.errors import InspectionError


class InstallationFails(InspectionError):
    """Something that the station needs does not work."""

    code = "installation_fails"


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--archive", required=True, type=click.Path(path_type=Path), help="Folder for records and images.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def doctor(recipe: Path, archive: Path, as_json: bool) -> None:
    """Look at everything that RECIPE needs here: package, runtime, cameras, trigger, outputs, disk and clock.

    The exit code is 0 where nothing fails. Nothing is recorded; run it while the service does not, for cameras and
    ports can be had once.
    """
    import dataclasses
    import json

    from serve.doctor import examine

    failed = 0
    for found in examine(recipe, archive):
        failed += found.status == "FAIL"
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(found)))
        else:
            click.echo(f"{found.status:<5}{found.part:<18}{found.message}")
            if found.advice:
                click.echo(f"{'':<23}-> {found.advice}")
    if failed:
        raise InstallationFails(f"{failed} of the parts that {recipe} needs {'fails' if failed == 1 else 'fail'}")
