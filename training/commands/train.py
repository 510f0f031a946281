"""`inspection train`: from a folder of good images to a model package."""

from pathlib import Path
from typing import Any

import click

from training.commands.options import folder_options
from training.commands.train_classifier import classifier


@click.group()
def train() -> None:
    """Make a model package from images."""


train.add_command(classifier)


@train.command()
@folder_options()
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The package to write (.onnx)."
)
@click.option("--algorithm", default="patchcore-head", show_default=True, help="The kind of detector.")
@click.option("--backbone", default="efficientnet_lite0", show_default=True, help="A name in the zoo, or an ONNX file.")
@click.option("--size", default=384, show_default=True, help="Side of a square with the model input's area, in pixels.")
@click.option(
    "--region",
    default="auto",
    show_default=True,
    help="What is inspected: auto (the product, where the background is plain), full, left,top,right,bottom in pixels, "
    "a YAML file with polygons, or a PNG mask.",
)
@click.option("--bank", default=2000, show_default=True, help="Rows in the memory that is served.")
@click.option("--stride", default=16, show_default=True, help="Side in pixels of the patches in the memory: 8 or 16.")
@click.option("--head-steps", default=400, show_default=True, help="Batches that the head is trained on.")
@click.option(
    "--folds", default=5, show_default=True, help="Parts of the good images, each held out once for the limits."
)
@click.option("--seed", default=0, show_default=True, help="The same seed on the same machine gives the same file.")
@click.option("--split-seed", default=0, show_default=True, help="Splits good images where the layout has no split.")
@click.option("--false-reject-rate", default=0.02, show_default=True, help="Share of good units that may fail to pass.")
@click.option("--memory-mb", default=384, show_default=True, help="Most memory for patch features, in MB.")
@click.option(
    "--colour", default="rgb", show_default=True, type=click.Choice(["rgb", "mono"]), help="What the camera gives."
)
@click.option("--name", help="The package's name (default: category and algorithm).")
@click.option("--version", default="1.0.0", show_default=True, help="The package's version, as major.minor.patch.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def anomaly(
    layout: str, root: Path, category: str | None, out: Path, split_seed: int, quiet: bool, **options: Any
) -> None:
    """Fit a detector on good images; it needs no defective ones.

    Writes OUT and, beside it, OUT's split manifest (.split.json) with the SHA-256 of every file; what was there before
    is replaced.
    """
    from data.splits import make_split
    from inspection.errors import BadUsage
    from inspection.files import make_folder, write_durably
    from inspection.package import write_package
    from training.fit import fit_anomaly
    from training.options import FitOptions

    if out.suffix != ".onnx":
        raise BadUsage(f"--out must end in .onnx, got {out}")
    chosen = FitOptions(**options)
    chosen.check()
    split = make_split(layout, root, category, split_seed)
    make_folder(out.parent)
    fitted = fit_anomaly(split, root, chosen, say=click.echo, quiet=quiet)
    digest = write_package(out, fitted.data)
    write_durably(out.with_suffix(".split.json"), split.model_dump_json(indent=1).encode())
    limits, info = fitted.manifest.limits, fitted.manifest.limits_info
    click.echo(f"{out}: {len(fitted.data) / 1e6:.1f} MB, sha256 {digest[:12]}")
    click.echo(
        f"review from {limits.review_limit:.3f}, reject from {limits.reject_limit:.3f}: "
        f"{info.held_out_above_review} of {info.held_out_good} held-out good images would not pass"
    )
    odd = sorted(
        (path for path, score in fitted.held_out.items() if score >= limits.reject_limit),
        key=lambda path: -fitted.held_out[path],
    )
    if odd:
        click.echo("unlike all other good images, look whether they are good: " + ", ".join(odd[:5]))
