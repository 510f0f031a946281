"""What is compared: ours, ours in int8, anomalib's PatchCore, and its models that download their weights. Each is a
dictionary with `name`, its figures, and `exports`, what can be served."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peer_process import child, note, say

# What makes ours the same method as theirs: no learned head, no region. Our search is at stride 16 by default,
# theirs always at 8.
PLAIN = ["--algorithm", "patchcore", "--region", "full"]
OURS = {"ours": PLAIN, "ours, stride 8 as theirs": [*PLAIN, "--stride", "8"]}
DOWNLOADED = {
    "efficientad": "EfficientAD-S, 256 px, random weights",
    "dinomaly": "Dinomaly ViT-B, 448 px cropped to 392, random weights",
}
TOLERANCE = 0.01  # of the image AUROC in int8: one of capsule's 15 good images is worth half of it
STARTS = "its weights are here, but fitting it is not part of this"
STARTS_NOT = "not startable without a network: weights not available"


def fit_ours(system: str, name: str, out: Path, shared: dict[str, Any]) -> dict[str, Any]:
    """`inspection train`, then `inspection evaluate`, of one of `OURS`."""
    stem = _stem(system)
    package, where = out / f"{stem}.onnx", dataset_words(name, out)
    options = ["--backbone", shared["backbone"], *(f"--{key}={shared[key]}" for key in ("size", "bank", "seed"))]
    say(f"{name}: {system} is fitted")
    words = ["fit", "train", "anomaly", *where, "--out", str(package), *options, *OURS[system]]
    fitted = child([sys.executable, "-m", "benchmarks.peer_ours", *words], out / f"{stem}-fit.json")
    return {"name": system, **fitted, **evaluated(package, where, out / f"{stem}.json"), "exports": exports_of(package)}


def quantize_ours(parent: str, name: str, out: Path) -> dict[str, Any]:
    """`inspection quantize` and `inspection evaluate`: one of `OURS` in int8. Its flips are counted against its
    parent's."""
    stem = _stem(parent)
    package, where = out / f"{stem}-int8.onnx", dataset_words(name, out)
    system: dict[str, Any] = {"name": f"{parent}, int8", "parent": parent, "exports": []}
    if not package.is_file():
        say(f"{name}: {parent} is quantized")
        words = ["quantize", str(out / f"{stem}.onnx"), *where, "--out", str(package), "--version", "1.1.0"]
        words += ["--tolerance", str(TOLERANCE)]
        done = subprocess.run([sys.executable, "-m", "inspection", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            return system | {"note": f"refused: {done.stderr.strip().rpartition('[')[2].rstrip(']')}"}
    return system | evaluated(package, where, out / f"{stem}-int8.json") | {"exports": exports_of(package)}


def _stem(system: str) -> str:
    return system.replace(", ", "-").replace(" ", "-")


def dataset_words(name: str, out: Path) -> list[str]:
    """The options that say which images."""
    return ["--layout", "mvtec", "--root", str(out / "data"), "--category", name, "--quiet"]


def evaluated(package: Path, where: list[str], figures: Path) -> dict[str, Any]:
    """Our figures, by `inspection evaluate`; kept in `figures`."""
    words = [sys.executable, "-m", "inspection", "evaluate", str(package), *where, "--json", str(figures)]
    if not figures.is_file():
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    result = json.loads(figures.read_text())
    return {key: result[key] for key in ("image_auroc", "image_auroc_interval", "aupro_30", "pixel_auroc")}


def exports_of(package: Path) -> list[dict[str, Any]]:
    """A package as it is, in each of our runtimes."""
    return [{"name": runtime, "runtime": runtime, "model": str(package)} for runtime in our_runtimes()]


def our_runtimes() -> list[str]:
    """Every runtime that is registered, ONNX Runtime first: the others' verdicts are held against its."""
    from inspection.runtime import RUNTIMES

    return sorted(RUNTIMES, key=lambda name: (name != "onnxruntime", name))


def fit_peer(python: Path, job: dict[str, Any], out: Path) -> dict[str, Any]:
    """anomalib's fit and exports; its coreset takes minutes."""
    say(f"{Path(job['data']).name}: anomalib is fitted (minutes)")
    words = [str(python), "-m", "benchmarks.peer_anomalib", "fit", note(out, "fit", job)]
    found = child(words, out / "peer-fit.json")
    return found | {"total_s": found["import_s"] + found["fit_s"]}  # that process went on to score and export


def downloaded(key: str, python: Path, job: dict[str, Any], out: Path) -> dict[str, Any]:
    """A model whose weights it downloads: whether it starts without, and exports with random weights for latency.
    These do not depend on the category, so they are made once for each size of frame."""
    folder = out.parent / f"{key}-{job['frame'][0]}x{job['frame'][1]}"
    folder.mkdir(parents=True, exist_ok=True)
    own = job | {"name": key, "out": str(folder)}
    words = [str(python), "-m", "benchmarks.peer_anomalib"]
    say(f"{DOWNLOADED[key]}: does it start offline, and how fast is it")
    started = child([*words, "offline", note(out, f"{key}-offline", own)], folder / "offline.json")
    exported = child([*words, "random", note(out, f"{key}-random", own)], folder / "random.json")
    return {
        "name": DOWNLOADED[key],
        "starts_offline": started,
        "note": STARTS if started["starts"] else STARTS_NOT,
        "exports": exported["exports"],
    }


def score(files: Sequence[Any], scores: Any, maps: Any, root: Path, size: int) -> dict[str, float | None]:
    """The peer's raw scores and maps `[n, size, size]`, by our metrics."""
    from data.masks import read_mask
    from training.metrics import auroc, auroc_interval
    from training.pixel_metrics import count_pixels

    defective = np.array([file.defect is not None for file in files])
    empty = np.zeros((size, size), dtype=bool)
    masks = [read_mask(root / file.mask, size, size) if file.mask else empty for file in files]
    pixels = count_pixels(
        lambda: ((map_, mask) for map_, mask, bad in zip(maps, masks, defective, strict=True) if bad),
        (map_ for map_, bad in zip(maps, defective, strict=True) if not bad),
    )
    assert pixels
    return {
        "image_auroc": auroc(scores, defective),
        "image_auroc_interval": auroc_interval(scores, defective),  # type: ignore[dict-item]
        "aupro_30": pixels.aupro(0.3),
        "pixel_auroc": pixels.auroc(),
    }
