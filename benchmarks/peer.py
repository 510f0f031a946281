"""Ours against anomalib 2.7, on the same images, weights, size, memory rows and cores; one table in Markdown.

python benchmarks/peer.py --data ../shared/data --weights ../shared/weights --peer-python PEER/bin/python --out DIR

anomalib has an environment of its own, for it wants other versions of things: python -m venv PEER, then
PEER/bin/python -m pip install 'anomalib[openvino]==2.7.*' onnx onnxruntime onnxscript (5 GB).
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.peer_table import summary, table  # noqa: E402

# What makes ours the same method as theirs: no learned head, no region. Nothing to switch off as yet.
OURS_PLAIN = ["--algorithm", "patchcore", "--region", "full", "--stride", "8"]
OUR_PACKAGES = ("pharma-inspection", "numpy", "onnxruntime", "openvino")
CATEGORIES = {"bottle": ("mvtec", "mvtec_ad"), "capsule": ("mvtec", "mvtec_ad"), "macaroni1": ("visa", "visa")}
BACKBONES = {"resnet18": "resnet18_s8_s16.onnx"}
INSTALL = (
    "make the peer's environment with `python -m venv PEER && PEER/bin/python -m pip install "
    "'anomalib[openvino]==2.7.*' onnx onnxruntime onnxscript` and give --peer-python PEER/bin/python"
)
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
SLOW_MS = 250.0  # a worker slower than this is timed on one frame a turn
PAUSE_S = 0.02  # between turns: a runtime's threads may spin for a while after their last frame
DOWNLOADED = {
    "efficientad": "EfficientAD-S, 256 px, random weights",
    "dinomaly": "Dinomaly ViT-B, 448 px cropped to 392, random weights",
}
STARTS = "its weights are here, but fitting it is not part of this"
STARTS_NOT = "not startable without a network: weights not available"


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
    ours = fit_ours(name, out, shared)
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
    systems = [ours, *theirs]
    time_all(systems, python, frames, shared["threads"], rounds, out)
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


def fit_ours(name: str, out: Path, shared: dict[str, Any]) -> dict[str, Any]:
    """`inspection train`, then `inspection evaluate`."""
    package, figures = out / f"{name}.onnx", out / "ours.json"
    where = ["--layout", "mvtec", "--root", str(out / "data"), "--category", name, "--quiet"]
    options = ["--backbone", shared["backbone"], *(f"--{key}={shared[key]}" for key in ("size", "bank", "seed"))]
    say(f"{name}: ours is fitted")
    words = ["fit", "train", "anomaly", *where, "--out", str(package), *options, *OURS_PLAIN]
    fitted = child([sys.executable, "-m", "benchmarks.peer_ours", *words], out / "ours-fit.json")
    evaluate = [sys.executable, "-m", "inspection", "evaluate", str(package), *where, "--json", str(figures)]
    if not figures.is_file():
        subprocess.run(evaluate, check=True, stdout=subprocess.DEVNULL)
    result = json.loads(figures.read_text())
    accuracy = {key: result[key] for key in ("image_auroc", "image_auroc_interval", "aupro_30", "pixel_auroc")}
    return {"name": "ours", **fitted, **accuracy, "exports": [
        {"name": runtime, "runtime": runtime, "model": str(package)} for runtime in our_runtimes()
    ]}  # fmt: skip


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
    from training.metrics import aupro, auroc, auroc_interval

    defective = np.array([file.defect is not None for file in files])
    empty = np.zeros((size, size), dtype=bool)
    masks = [read_mask(root / file.mask, size, size) if file.mask else empty for file in files]
    return {
        "image_auroc": auroc(scores, defective),
        "image_auroc_interval": auroc_interval(scores, defective),  # type: ignore[dict-item]
        "aupro_30": aupro(list(maps), masks)[0],
        "pixel_auroc": auroc(maps.ravel(), np.concatenate([mask.ravel() for mask in masks])),
    }


class Worker:
    """A process that serves one runtime of one system."""

    def __init__(self, words: list[str], log_file: Path) -> None:
        self.times: list[float] = []
        self.busy: list[float] = []
        with log_file.open("w") as log:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT
            )
        self._read()

    def ask(self, word: str) -> Any:
        """Send one line, read one line of JSON."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        return self._read()

    def turn(self, frames: int) -> None:
        """Time some frames, after one that warms the caches the others have used meanwhile."""
        slow = bool(self.times) and float(np.median(self.times)) > SLOW_MS
        found = self.ask(f"time {1 if slow else frames + 1}")
        for wall, busy in found if slow else found[1:]:
            self.times.append(wall)
            self.busy.append(busy)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise OSError(f"it ended with exit code {self._process.wait()}")
        return json.loads(line)


def time_all(
    systems: list[dict[str, Any]], python: Path, frames: list[str], threads: int, rounds: int, out: Path
) -> None:
    """Fill each system's `runtimes`: all are loaded, and take turns, so that the machine's noise hits all of them."""
    with running(systems, python, frames, threads, out) as workers:
        for system, export, worker in workers:
            if system.get("note"):
                continue  # random weights: its verdicts mean nothing
            verdicts = worker.ask("verdicts")
            stopped = [bool(verdict[0]) for verdict in verdicts]
            reference = system.setdefault("reference", stopped)
            export |= {"flips": sum(a != b for a, b in zip(stopped, reference, strict=True)), "images": len(stopped)}
            scores = np.array([verdict[1] for verdict in verdicts])
            first = system.setdefault("reference_scores", scores.tolist())
            export["largest_score_difference"] = float(np.abs(scores - np.array(first)).max())
        say(f"{len(workers)} runtimes take {rounds} turns each")
        for _ in range(rounds):
            for _, _, worker in workers:
                time.sleep(PAUSE_S)
                worker.turn(5)
        for _, export, worker in workers:
            export |= summary(worker.times, worker.busy) | {"serving_mb": worker.ask("memory")}
    for system in systems:
        system["runtimes"] = system.pop("exports")
        for runtime in system["runtimes"]:
            runtime.pop("model", None)


@contextmanager
def running(
    systems: list[dict[str, Any]], python: Path, frames: list[str], threads: int, out: Path
) -> Iterator[list[tuple[dict[str, Any], dict[str, Any], Worker]]]:
    """A worker for each export of each system; one that does not start is noted in its export."""
    workers = []
    try:
        for number, system in enumerate(systems):
            for export in system["exports"]:
                if "failed" in export:
                    continue
                mine = system["name"] == "ours"
                own = export | {"files": frames, "threads": threads}
                file = note(out, f"serve-{number}-{export['name']}", own)
                program = [sys.executable, "-m", "benchmarks.peer_ours"]
                if not mine:
                    program = [str(python), "-m", "benchmarks.peer_anomalib"]
                try:
                    workers.append((system, export, Worker([*program, "serve", file], Path(file).with_suffix(".log"))))
                except OSError as error:
                    export["failed"] = str(error)
        yield workers
    finally:
        for _, _, worker in workers:
            worker.close()


def child(words: list[str], answer: Path) -> dict[str, Any]:
    """Run a process that answers with one line of JSON; adds `total_s`, its whole time, and `load`, the machine's load
    average when it began. Kept in `answer`; where that is there already, nothing is run."""
    if answer.is_file():
        return dict(json.loads(answer.read_text()))
    load, start = os.getloadavg()[0], time.perf_counter()
    with answer.with_suffix(".log").open("w") as log:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT, check=False)
    if done.returncode or not done.stdout:
        raise click.ClickException(f"exit code {done.returncode} of {words[2]} {words[3]}; see {log.name}")
    found = json.loads(done.stdout.splitlines()[-1]) | {"total_s": time.perf_counter() - start, "load": load}
    answer.write_text(json.dumps(found))
    return dict(found)


def note(out: Path, name: str, job: dict[str, Any]) -> str:
    """Write what a child is to do; returns the file's path."""
    file = out / "jobs" / f"{name.replace(' ', '-')}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(job))
    return str(file)


def pin(threads: int) -> None:
    """Keep this process and all that it starts on the first cores, with as many threads as cores."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    if len(cores) < threads:
        raise click.ClickException(f"there are {len(cores)} cores here; --threads {threads} needs as many")
    os.sched_setaffinity(0, cores)
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    os.environ["TRUST_REMOTE_CODE"] = "1"  # anomalib asks for it before it loads its own torch export


def machine(threads: int) -> str:
    """The processor and what of it matters here."""
    info = Path("/proc/cpuinfo").read_text()
    facts = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    has = set(facts.get("flags", "").split())
    flags = [flag for flag in FLAGS if flag in has]
    lacks = [flag for flag in FLAGS if flag not in has]
    model = facts.get("model name", platform.processor())
    return (
        f"Machine: {model}, {os.cpu_count()} cores, {threads} used; has {', '.join(flags) or 'none'}; "
        f"lacks {', '.join(lacks) or 'none'}; {platform.system()}."
    )


def versions(theirs: dict[str, str]) -> str:
    """The packages on either side."""
    ours = {name: version(name) for name in OUR_PACKAGES if installed(name)}
    lists = [", ".join(f"{name} {number}" for name, number in side.items()) for side in (ours, theirs)]
    return f"Ours: {lists[0]}, python {platform.python_version()}. Theirs: {lists[1]}."


def installed(name: str) -> bool:
    """Whether a package has a version here."""
    try:
        version(name)
    except ImportError:
        return False
    return True


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    peer()
