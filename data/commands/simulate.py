"""`inspection simulate`: a labelled dataset of rendered vials or tablets."""

from pathlib import Path

import click


@click.command()
@click.option("--product", default="vial", show_default=True, help="What to render: vial or tablet.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the dataset.")
@click.option("--good", default=60, show_default=True, type=click.IntRange(0), help="Good units to train on.")
@click.option("--test-good", default=20, show_default=True, type=click.IntRange(0), help="Good units to test on.")
@click.option("--per-defect", default=8, show_default=True, type=click.IntRange(0), help="Test units of each defect.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="The same seed gives the same images."
)
def simulate(product: str, out: Path, good: int, test_good: int, per_defect: int, seed: int) -> None:
    """Render units with known defects and their masks into OUT/<product>, in the layout of MVTec AD."""
    from data.simulator import write_dataset
    from inspection.files import make_folder

    make_folder(out)
    write_dataset(out, product, good=good, test_good=test_good, per_defect=per_defect, seed=seed)
    click.echo(f"{out / product}: {good} good units to train on; train with --root {out} --category {product}")
