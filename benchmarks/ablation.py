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
from benchmarks.memory_study import VARIANTS, Choice, image_auroc
from inspection.errors import InspectionError

PRODUCT = "efficientnet_lite0"
Found = dict[str, dict[str, float]]


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder with mvtec_ad/ and visa/.")
@click.option("--weights", type=click.Path(path_type=Path), help="Folder with further backbones, each an ONNX file.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the figures; kept ones stay.")
@click.option("--category", "names", multiple=True, type=click.Choice(list(CATEGORIES)), help="Only these.")
@click.option("--variant", "only", multiple=True, type=click.Choice(list(VARIANTS)), help="Only these.")
def ablation(data: Path, weights: Path | None, out: Path, names: tuple[str, ...], only: tuple[str, ...]) -> None:
    """Image AUROC in percent of the baseline, and what each variant adds to it, mean over categories and backbones."""
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
                print(key, variant, f"{found[key][variant]:.1f}", file=sys.stderr, flush=True)
    for line in table(found, chosen):
        print(line)


def table(found: Found, variants: Iterable[str]) -> list[str]:
    """The figures in Markdown: one row per variant, one column per backbone and category, and the mean difference from
    the baseline with its standard error over the columns."""
    lines = [f"| | {' | '.join(found)} | mean change |", "|---" * (len(found) + 2) + "|"]
    for variant in variants:
        values = np.array([result[variant] for result in found.values()])
        change = values - [result["baseline"] for result in found.values()]
        mean = "" if variant == "baseline" else f"{change.mean():+.1f}"
        if mean and len(change) > 1:
            mean += f" ± {change.std(ddof=1) / np.sqrt(len(change)):.1f}"
        lines.append(f"| {variant} | {' | '.join(f'{value:.1f}' for value in values)} | {mean} |")
    return lines


def _one(data: Path, name: str, backbone: str, choice: Choice) -> float:
    layout, folder = CATEGORIES[name]
    try:
        return 100 * image_auroc(layout, data / folder, name, backbone, choice)
    except InspectionError as error:
        raise click.ClickException(f"{error} [{error.code}]") from error


if __name__ == "__main__":
    ablation()
