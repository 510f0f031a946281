"""How time and memory of fitting grow with the number of images (simulated tablets of 320 px, the default settings).

python -m benchmarks.fit_growth --out /tmp/growth --images 1000 --images 3000 --images 10000
python -m benchmarks.fit_growth --out /tmp/growth --kind classifier --train size=224 --images 2000
"""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click

from benchmarks.accuracy import as_options
from data.simulator import PRODUCTS, write_dataset

_RUN = """
import re, sys
from pathlib import Path
from inspection.cli import main
main(sys.argv[1:])
print("peak kB", re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where images and packages go.")
@click.option("--kind", default="anomaly", show_default=True, type=click.Choice(["anomaly", "classifier"]))
@click.option("--images", "counts", multiple=True, type=int, default=(1000, 3000, 10_000), show_default=True)
@click.option("--train", "extra", multiple=True, help="An option for `train`, as name=value; may be repeated.")
def fit_growth(out: Path, kind: str, counts: tuple[int, ...], extra: tuple[str, ...]) -> None:
    """One row per number of images: seconds and the process's peak memory."""
    print("| images | fit s | peak MB |\n|---|---|---|")
    for count in counts:
        root = out / f"{kind}-{count}"
        if not root.is_dir():
            begun = root.with_suffix(".part")  # what an interrupted run has left is no dataset
            shutil.rmtree(begun, ignore_errors=True)
            write_dataset(begun, "tablet", **_units(kind, count), seed=1)
            begun.rename(root)
        where = ["--root", str(root), "--category", "tablet", "--size", "320", "--quiet"]
        words = ["train", kind, *where, *as_options(extra)]
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", _RUN, *words, "--out", str(root.with_suffix(".onnx"))],
            check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        took = time.perf_counter() - start
        peak = re.search(r"peak kB (\d+)", done.stdout)
        assert peak
        print(f"| {count:,} | {took:.0f} | {int(peak[1]) / 1024:.0f} |", flush=True)


def _units(kind: str, count: int) -> dict[str, int]:
    """Of so many images the good ones and those of each defect: a classifier's are defective in two of five."""
    if kind == "anomaly":
        return {"good": count, "test_good": 1, "per_defect": 1}
    each = round(0.4 * count / len(PRODUCTS["tablet"].defects))
    return {"good": count - each * len(PRODUCTS["tablet"].defects), "test_good": 0, "per_defect": each}


if __name__ == "__main__":
    fit_growth()
