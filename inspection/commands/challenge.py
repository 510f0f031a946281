"""`inspection challenge`: known units that prove a station."""

from pathlib import Path

import click

from inspection.commands.options import signed_options
from inspection.commands.registry import open_registry, tell_step
from inspection.errors import InspectionError


class ChallengeFailed(InspectionError):
    """A unit of the kit was not decided as registered."""

    code = "challenge_failed"


@click.group()
def challenge() -> None:
    """Challenge kits: known units, registered with their truth, that a station must decide as registered."""


@challenge.command()
@click.argument("file", type=click.Path(path_type=Path))
@signed_options
def register(file: Path, archive: Path, by: str, password: str, why: str) -> None:
    """Keep the kit in FILE (YAML) with its images, as a draft."""
    with open_registry(archive, by, password) as opened:
        tell_step(opened.register_kit(file, why))


@challenge.command()
@click.argument("name")
@click.argument("version")
@signed_options
def approve(name: str, version: str, archive: Path, by: str, password: str, why: str) -> None:
    """Approve a kit; nobody approves what they registered."""
    with open_registry(archive, by, password) as opened:
        tell_step(opened.approve("kit", name, version, why))


@challenge.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@signed_options
def run(recipe: Path, archive: Path, by: str, password: str, why: str) -> None:
    """Run the images of the kit that RECIPE names as its station would; on record, as passed or failed.

    The exit code is 0 only where every unit was decided as registered.
    """
    from inspection.accounts.authorise import authorise
    from inspection.accounts.roles import Permission
    from inspection.archive import Archive
    from inspection.challenge.kit import KitUnusable, approved_kit, kept_kit
    from inspection.challenge.run import PASSED, run_by_images
    from inspection.detector import FrameDetector
    from inspection.image_quality import QualityDetector
    from inspection.recipe import pinned, read_recipe, recipe_detector, recipe_packages
    from inspection.registry.content import recipe_digest
    from inspection.registry.items import read_versions
    from inspection.station import Station

    read = read_recipe(recipe)
    if read.challenge is None:
        raise KitUnusable(f"{recipe} names no challenge kit; see `challenge` in the recipe")
    with Archive(archive) as opened:
        authorise(opened, by, password, Permission.OPERATE, "challenge")
        version = approved_kit(read_versions(opened), read.challenge)
        kit = kept_kit(opened, version)
        if kit.product != read.product:
            raise KitUnusable(f"{version.label} is for product {kit.product!r}, and the recipe for {read.product!r}")
        fixed = pinned(read, *recipe_packages(read, recipe.parent))
        detector: FrameDetector = recipe_detector(fixed, recipe.parent)
        if fixed.image_quality:
            detector = QualityDetector(detector, fixed.image_quality)
        entry = run_by_images(Station(fixed, detector, opened), version, kit, recipe_digest(fixed), by, why)
    for one in entry.details["units"]:
        said = f"{one['outcome']} ({one['reason']})"
        sign = "as registered" if one["as_registered"] else "NOT AS REGISTERED"
        click.echo(f"  {one['unit']}: {one['defect'] or one['truth']}, expected {one['expected']}: {said}, {sign}")
    fits, of = entry.details["as_registered"], entry.details["of"]
    if entry.reason != PASSED:
        raise ChallengeFailed(f"{fits} of {of} units of {kit.label} were decided as registered [{entry.name}]")
    click.echo(f"passed: all {of} units of {kit.label} were decided as registered [{entry.name}]")


@challenge.command()
@click.option("--archive", required=True, type=click.Path(path_type=Path), help="The archive's folder.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many of the last runs.")
def show(archive: Path, limit: int) -> None:
    """Kits with their units, and the last runs and overrides."""
    from inspection.archive import Archive
    from inspection.challenge.clearance import challenge_events
    from inspection.challenge.kit import kept_kit
    from inspection.registry.items import read_versions

    with Archive(archive, read_only=True) as opened:
        for version in read_versions(opened).values():
            if version.kind != "kit":
                continue
            click.echo(f"{version.label}: {version.state}")
            for step in version.steps:
                click.echo(f"  {step.at[:19]} UTC  {step.new}  {step.full_name} ({step.by}): {step.why}")
            for unit in kept_kit(opened, version).units:
                click.echo(f"  {unit.id}: {unit.defect or unit.truth}, expected {unit.expected}")
        for entry in challenge_events(opened, limit):
            said = entry.details
            counted = f", {said['as_registered']} of {said['of']} as registered" if "of" in said else ""
            click.echo(f"{entry.recorded_at[:19]} UTC  {entry.reason}  {said.get('by')}: {said.get('why')}{counted}  "
                       f"[{entry.name}]")  # fmt: skip
