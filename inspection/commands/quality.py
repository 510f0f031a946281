"""`inspection quality`: how sharp and how bright good images are, and what a recipe should ask of the others."""

from pathlib import Path

import click


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--quiet", is_flag=True, help="No progress bar.")
def quality(images: tuple[Path, ...], quiet: bool) -> None:
    """Measure good IMAGES (files, or folders with files) of one camera, and print limits for its recipe.

    The limits lie clearly outside all of these images: a lens out of focus or a lamp that fails is found, the unit's
    own variety is not.
    """
    import numpy as np
    from tqdm import tqdm

    from inspection.errors import BadUsage
    from inspection.frames import list_images, read_frame
    from inspection.image_quality import measure, suggest

    for path in images:
        if not path.exists():
            raise BadUsage(f"{path} is not there; give image files, or folders that hold some")
    files = [file for path in images for file in (list_images(path) if path.is_dir() else [path])]
    if not files:
        raise BadUsage(f"there are no images in {', '.join(map(str, images))}; give a folder that holds some")
    shown = tqdm(files, desc="measuring", unit="image", disable=True if quiet else None)
    measured = [measure(read_frame(path).pixels) for path in shown]
    click.echo(f"{len(measured)} images{'least':>18}{'median':>12}{'most':>12}")
    for name in ("sharpness", "brightness", "saturated"):
        values = np.array([getattr(one, name) for one in measured])
        click.echo(f"{name:<14}" + "".join(f"{value:>12.4g}" for value in np.quantile(values, [0, 0.5, 1])))
    click.echo("\nimage_quality:")
    for key, value in suggest(measured):
        if value is not None:
            click.echo(f"  {key}: {value:g}")
