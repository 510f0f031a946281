"""`inspection demo`: the main job on simulated units, from training images to a verified archive."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import click

_FIRST_LINE = "# What the station runs: written by `inspection demo`."
_RECIPE = """\
{first_line}
name: demo-{product}
version: 1.0.0
product: {product}
station: demo
package:
  path: {product}.onnx
camera:
  kind: simulator
  name: camera-1
  product: {product}
  rate_hz: {rate}
  defect_rate: 0.25
  seed: {seed}
"""


@click.command()
@click.option(
    "--product", default="vial", show_default=True, type=click.Choice(["vial", "tablet"]), help="What to inspect."
)
@click.option("--units", default=60, show_default=True, type=click.IntRange(1), help="Units to summarise.")
@click.option("--rate", default=4.0, show_default=True, type=click.FloatRange(0.1, 100), help="Units per second.")
@click.option(
    "--seed", default=1, show_default=True, type=click.IntRange(0), help="The same seed gives the same units."
)
@click.option(
    "--archive",
    default=Path("demo"),
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where records, images, package and recipe stay.",
)
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port of the page; 0: any."
)
@click.option("--once", is_flag=True, help="End after the summary, also with a terminal.")
def demo(product: str, units: int, rate: float, seed: int, archive: Path, port: int, once: bool) -> None:
    """Render units, train on good ones, serve a simulated camera, and say how the verdicts compare with the truth."""
    from inspection.errors import OutputExists
    from inspection.files import make_folder, write_durably
    from serve.demo import serve_demo

    recipe = archive / "recipe.yaml"
    if recipe.exists() and not recipe.read_text(errors="replace").startswith(_FIRST_LINE):
        raise OutputExists(f"{recipe} was not written by `inspection demo`; choose another --archive folder")
    once = once or not sys.stdin.isatty() or not sys.stdout.isatty()
    make_folder(archive)
    images, package = archive / "training-images", archive / f"{product}.onnx"
    if not (images / product).is_dir():
        _run("simulate", "--product", product, "--out", images, "--good", 60, "--test-good", 0, "--per-defect", 0)
    if not package.is_file():
        _run("train", "anomaly", "--root", images, "--category", product, "--out", package, "--algorithm", "patchcore")
    write_durably(recipe, _RECIPE.format(first_line=_FIRST_LINE, product=product, rate=rate, seed=seed).encode())
    click.echo(f"$ inspection serve {recipe} --archive {archive} --port {port}")
    serve_demo(recipe, archive, port, units, once, click.echo)


def _run(*arguments: Any) -> None:
    """Run a sub-command as a person would, and show it."""
    words = [str(argument) for argument in arguments]
    click.echo("$ inspection " + " ".join(words))
    done = subprocess.run([sys.executable, "-m", "inspection", *words], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
