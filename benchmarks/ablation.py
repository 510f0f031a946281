"""What each choice in the memory is worth: one change at a time, on every category and backbone at hand.

python -m benchmarks.ablation --data ../shared/data --weights ../shared/weights --out /tmp/ablation
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import click
import numpy as np

from benchmarks.accuracy import CATEGORIES
from benchmarks.memory_study import VARIANTS, Choice, worth
from inspection.errors import InspectionError

PRODUCT = "efficientnet_lite0"
Found = dict[str, dict[str, tuple[float, float]]]  # by backbone and category, by variant


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder with mvtec_ad/ and visa/.")
@click.option("--weights", type=click.Path(path_type=Path), help="Folder with further backbones, each an ONNX file.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the figures; kept ones stay.")
@click.option("--category", "names", multiple=True, type=click.Choice(list(CATEGORIES)), help="Only these.")
@click.option("--variant", "only", multiple=True, type=click.Choice(list(VARIANTS)), help="Only these.")
def ablation(data: Path, weights: Path | None, out: Path, names: tuple[str, ...], only: tuple[str, ...]) -> None:
    """Image AUROC in percent, and the defective images that score above 98 % of the good ones, of the baseline and of
    each variant, and what it adds, mean over categories and backbones."""
    out.mkdir(parents=True, exist_ok=True)
    backbones = [PRODUCT, *(str(path) for path in sorted(weights.glob("*.onnx")))] if weights else [PRODUCT]
    pairs = [(backbone, name) for backbone in backbones for name in names or CATEGORIES]
    chosen = {name: VARIANTS[name] for name in ("baseline", *(only or list(VARIANTS)[1:]))}
    found: Found = {}
    for backbone, name in pairs:
        key = f"{Path(backbone).stem.split('_s8')[0]} {name}"
        kept = out / f"{key.replace(' ', '-')}.json"
        found[key] = json.loads(kept.read_text()) if kept.exists() else {}
        for variant, choice in chosen.items():
            if variant not in found[key]:
                found[key][variant] = _one(data, name, backbone, choice)
                kept.write_text(json.dumps(found[key], indent=1))
                print(key, variant, cell(*found[key][variant]), file=sys.stderr, flush=True)
    for line in table(found, chosen):
        print(line)


def table(found: Found, variants: Iterable[str]) -> list[str]:
    """The figures in Markdown: one row per variant, one column per backbone and category, and the mean differences from
    the baseline with their standard error over the columns."""
    lines = [f"| | {' | '.join(found)} | mean change |", "|---" * (len(found) + 2) + "|"]
    for variant in variants:
        values = np.array([result[variant] for result in found.values()])
        change = values - [result["baseline"] for result in found.values()]
        means = [f"{mean:+.1f}" for mean in change.mean(axis=0)]
        if len(change) > 1:
            errors = change.std(axis=0, ddof=1) / np.sqrt(len(change))
            means = [f"{mean} ± {error:.1f}" for mean, error in zip(means, errors, strict=True)]
        lines.append(
            f"| {variant} | {' | '.join(cell(*pair) for pair in values)} "
            f"| {'' if variant == 'baseline' else ', '.join(means)} |"
        )
    return lines


def cell(area: float, stopped: float) -> str:
    """AUROC, and in brackets how many of the defective ones are stopped, in percent."""
    return f"{area:.1f} ({stopped:.0f})"


def _one(data: Path, name: str, backbone: str, choice: Choice) -> tuple[float, float]:
    layout, folder = CATEGORIES[name]
    try:
        area, stopped = worth(layout, data / folder, name, backbone, choice)
    except InspectionError as error:
        raise click.ClickException(f"{error} [{error.code}]") from error
    return 100 * area, 100 * stopped


if __name__ == "__main__":
    ablation()
