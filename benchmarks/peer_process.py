"""What the comparison starts and where: processes on given cores, their answers, the machine they ran on."""

import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
OUR_PACKAGES = ("pharma-inspection", "numpy", "onnxruntime", "openvino")


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
