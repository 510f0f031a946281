"""Ours against anomalib 2.7, on the same images, weights, size, memory rows and cores; one table in Markdown.

python -m benchmarks.peer --data ../shared/data --weights ../shared/weights --peer-python PEER/bin/python --out DIR

anomalib has an environment of its own, for it wants other versions of things: python -m venv PEER, then
PEER/bin/python -m pip install 'anomalib[openvino]==2.7.*' onnx onnxruntime onnxscript (5 GB).
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.accuracy import CATEGORIES
from benchmarks.peer_process import machine, pin, say, versions
from benchmarks.peer_systems import DOWNLOADED, OURS, downloaded, fit_ours, fit_peer, quantize_ours, score
from benchmarks.peer_table import table
from benchmarks.peer_timing import time_all

BACKBONES = {"resnet18": "resnet18_s8_s16.onnx"}
INSTALL = (
    "make the peer's environment with `python -m venv PEER && PEER/bin/python -m pip install "
    "'anomalib[openvino]==2.7.*' onnx onnxruntime onnxscript` and give --peer-python PEER/bin/python"
)


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder with mvtec_ad/ and visa/.")
@click.option("--weights", required=True, type=click.Path(path_type=Path), help="Folder with the backbones' files.")
@click.option("--peer-python", required=True, type=click.Path(path_type=Path), help="Python that has anomalib 2.7.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where packages, exports and figures go.")
@click.option("--category", "names", multiple=True, type=click.Choice(list(CATEGORIES)), help="Only these.")
@click.option("--backbone", default="resnet18", show_default=True, type=click.Choice(list(BACKBONES)))
@click.option("--size", default=256, show_default=True, help="Side of the square input in pixels.")
@click.option("--bank", default=2000, show_default=True, help="Rows in both memories.")
@click.option(
    "--threads", default=2, show_default=True, help="Cores for either side; all processes are pinned to them."
)
@click.option("--rounds", default=40, show_default=True, help="Turns of every runtime, five frames each.")
@click.option("--seed", default=0, show_default=True)
@click.option("--limit", type=int, help="At most so many images of each kind, to try the benchmark out.")
@click.option(
    "--resume", is_flag=True, help="Keep the fits and exports that an earlier run with the same options left in OUT."
)
@click.option("--without-downloaded", is_flag=True, help="Leave out EfficientAD and Dinomaly.")
def peer(
    data: Path, weights: Path, peer_python: Path, out: Path, names: tuple[str, ...], backbone: str, size: int,
    bank: int, threads: int, rounds: int, seed: int, limit: int | None, resume: bool, without_downloaded: bool,
) -> None:  # fmt: skip
    """Fit both, score both by our metrics, time both by turns; print the table and write it beside its JSON."""
    if subprocess.run([peer_python, "-c", "import anomalib"], capture_output=True, check=False).returncode:
        raise click.ClickException(f"{peer_python} has no anomalib: {INSTALL}")
    pin(threads)
    if out.exists() and not resume:
        raise click.ClickException(f"{out} exists; choose another --out, or --resume what is in it")
    shared = {
        "backbone": str((weights / BACKBONES[backbone]).resolve()), "size": size, "bank": bank, "seed": seed,
        "threads": threads,
    }  # fmt: skip
    results: dict[str, Any] = {}
    for name in names or CATEGORIES:
        results[name] = category(
            name, data, out.resolve() / name, peer_python, shared, limit, rounds, without_downloaded
        )
        theirs = results[name]["theirs"][0]["versions"]
        text = table(machine(threads), versions(theirs), results)
        (out / "peer.md").write_text(text)
        (out / "peer.json").write_text(
            json.dumps({"machine": machine(threads), "options": shared, **results}, indent=1)
        )
    print(text)


def category(
    name: str, data: Path, out: Path, python: Path, shared: dict[str, Any], limit: int | None, rounds: int,
    without_downloaded: bool,
) -> dict[str, Any]:  # fmt: skip
    """Both sides on one category."""
    files, frames, frame = images(name, data, out, limit)
    test = [str(out / "data" / file.path) for file in files]
    job = shared | {
        "data": str(out / "data" / name), "out": str(out / "peer"), "frame": frame, "files": test,
        "images": len(list((out / "data" / name / "train" / "good").iterdir())),
    }  # fmt: skip
    ours = [fit_ours(system, name, out, shared) for system in OURS]
    fitted = fit_peer(python, job, out)
    say(
        f"{name}: weights read back from the file: features differ by {fitted['largest_difference']:.1e} at most, "
        f"largest feature {fitted['largest_feature']:.1f}; its memory has {fitted['rows']} rows"
    )
    theirs = []
    for neighbours, exports in reversed(fitted.pop("exports").items()):
        raw = np.load(out / "peer" / f"neighbours-{neighbours}" / "raw.npz")
        label = "1 neighbour as ours" if neighbours == "1" else f"its {neighbours} neighbours"
        accuracy = score(files, raw["scores"], raw["maps"], out / "data", shared["size"])
        theirs.append({"name": f"anomalib PatchCore, {label}", **fitted, **accuracy, "exports": exports,
                       "reference": [bool(stopped) for stopped in raw["stopped"]]})  # fmt: skip
    if not without_downloaded:
        theirs += [downloaded(key, python, job, out) for key in DOWNLOADED]
    ours += [quantize_ours(system, name, out) for system in OURS]
    time_all([*ours, *theirs], python, frames, shared["threads"], rounds, out)
    return {"ours": ours, "theirs": theirs}


def images(name: str, data: Path, out: Path, limit: int | None) -> tuple[list[Any], list[str], list[int]]:
    """Copy the category into one layout that both sides read, and its test images as decoded frames.

    Returns the test files, the frames' files, and a frame's height and width.
    """
    from data.layouts import load_dataset
    from data.splits import make_split
    from inspection.frames import read_frame

    layout, folder = CATEGORIES[name]
    dataset = load_dataset(layout, data / folder, name, 0)
    counts: dict[str, int] = {}
    for part, samples in (("train", dataset.train), ("test", dataset.test)):
        for sample in samples:
            kind = sample.defect or "good"
            number = counts[f"{part}/{kind}"] = counts.get(f"{part}/{kind}", 0) + 1
            if limit is not None and number > limit:
                continue
            copy(sample.path, out / "data" / name / part / kind / f"{number:04}{sample.path.suffix}")
            if sample.mask:
                masks = out / "data" / name / "ground_truth" / kind
                copy(sample.mask, masks / f"{number:04}_mask{sample.mask.suffix}")
    split = make_split("mvtec", out / "data", name)
    frames = []
    (out / "frames").mkdir(exist_ok=True)
    for index, file in enumerate(split.test):
        pixels = read_frame(out / "data" / file.path, "rgb").pixels
        frames.append(str(out / "frames" / f"{index:04}.npy"))
        np.save(frames[-1], pixels)
    return split.test, frames, [int(side) for side in pixels.shape[:2]]


def copy(source: Path, target: Path) -> None:
    """Copy a file; its folder is made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


if __name__ == "__main__":
    peer()
