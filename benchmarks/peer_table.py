"""The table of the comparison, from what both sides measured: plain values in, Markdown out."""

from collections.abc import Mapping, Sequence
from typing import Any

HEAD = (
    "category", "system", "image AUROC", "AUPRO 30 %", "fit s", "with start s", "fit CPU s", "fit peak MB",
    "best runtime", "ms p50", "ms p99", "CPU ms", "images/s", "serving MB", "labels that flip",
)  # fmt: skip
# Figures that get a ratio, ours over theirs, with the digits they are shown in.
FIGURES: dict[str, tuple[str, int]] = {
    "image AUROC": ("image_auroc", 1),
    "AUPRO 30 %": ("aupro_30", 1),
    "fit s": ("fit_s", 0),
    "with start s": ("total_s", 0),
    "fit CPU s": ("fit_cpu_s", 0),
    "fit peak MB": ("peak_mb", 0),
    "ms p50": ("p50", 1),
    "ms p99": ("p99", 1),
    "CPU ms": ("cpu_ms", 1),
    "images/s": ("images_per_second", 1),
    "serving MB": ("serving_mb", 0),
}
_PERCENT = {"image_auroc", "aupro_30"}


def table(machine: str, versions: str, categories: Mapping[str, Mapping[str, Any]]) -> str:
    """The machine, one row for each category and system, and below it every runtime that was timed.

    `categories` maps a name to `ours` and `theirs`, two lists of systems, each with `name`, figures, `note` and
    `runtimes` (each with `name`, `p50`, `p99`, `cpu_ms`, `images_per_second`, `serving_mb`, `flips`, `images`). Ratios
    are with the first of ours.
    """
    lines = [machine, "", versions, "", "| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    details = []
    for category, systems in categories.items():
        first = systems["ours"][0]
        for system in (*systems["ours"], *systems["theirs"]):
            lines.append(row(category, system, None if system is first else first))
            details += [detail(category, system["name"], runtime) for runtime in system.get("runtimes", ())]
    lines += ["", "In brackets: the first row's figure divided by this row's.", ""]
    for category, systems in categories.items():
        fitted = [system for system in systems["theirs"] if "fit_s" in system]
        pairs = [(mine, theirs) for mine in systems["ours"] if best(mine) for theirs in fitted]
        lines += [marks(category, *pair) for pair in pairs]
    lines += ["", "Every runtime:", ""]
    lines += ["| category | system | runtime | ms p50 | ms p99 | CPU ms | images/s | serving MB | labels that flip |"]
    return "\n".join([*lines, "|" + "---|" * 9, *details, ""])


def marks(category: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """How many times less time and memory one of ours takes than one of theirs, each in its best runtime."""
    ours, other = ({**system, **best(system)} for system in (mine, theirs))
    asked = {"latency": "p50", "processor time a frame": "cpu_ms", "fitting": "fit_s", "peak memory": "peak_mb"}
    parts = [f"{name} {other[key] / ours[key]:.1f} x" for name, key in asked.items() if key in ours and key in other]
    return f"- {category}, {theirs['name']} / {mine['name']}: {', '.join(parts)}"


def best(system: Mapping[str, Any]) -> Mapping[str, Any]:
    """The runtime with the lowest median; an empty one where none ran."""
    timed = [runtime for runtime in system.get("runtimes", ()) if "p50" in runtime]
    return min(timed, key=lambda runtime: float(runtime["p50"])) if timed else {}


def row(category: str, system: Mapping[str, Any], ours: Mapping[str, Any] | None) -> str:
    """One system; with `ours`, each figure is followed by the ratio ours / theirs."""
    chosen = best(system)
    values = {**system, **chosen}
    reference = {**ours, **best(ours)} if ours is not None else {}
    cells = []
    for head in HEAD:
        if head == "category":
            cells.append(category)
        elif head == "system":
            cells.append(str(system["name"]))
        elif head == "best runtime":
            cells.append(str(chosen.get("name", "none")))
        elif head == "labels that flip":
            cells.append(flips(chosen))
        else:
            key, digits = FIGURES[head]
            cells.append(cell(values.get(key), reference.get(key), digits, percent=key in _PERCENT))
    if system.get("note"):
        cells[HEAD.index("image AUROC")] = str(system["note"])
    return "| " + " | ".join(cells) + " |"


def cell(value: float | None, ours: float | None, digits: int, *, percent: bool = False) -> str:
    """A figure, and in brackets ours divided by it."""
    if value is None:
        return "–"
    text = f"{100 * value if percent else value:.{digits}f}"
    return text if ours is None or not value else f"{text} ({ratio(ours, value)})"


def ratio(ours: float, theirs: float) -> str:
    """Ours / theirs to three significant digits."""
    return f"{ours / theirs:.3g}"


def detail(category: str, system: str, runtime: Mapping[str, Any]) -> str:
    """One runtime of one system."""
    head = f"| {category} | {system} | {runtime['name']} | "
    if "p50" not in runtime:
        return head + f"failed: {runtime.get('failed', 'no reason given')} | – | – | – | – | – |"
    figures = [f"{runtime[key]:.1f}" for key in ("p50", "p99", "cpu_ms", "images_per_second")]
    return head + " | ".join([*figures, f"{runtime['serving_mb']:.0f}", flips(runtime)]) + " |"


def flips(runtime: Mapping[str, Any]) -> str:
    """How many verdicts differ from the reference's: for ours ONNX Runtime, for theirs torch as in its training."""
    if runtime.get("flips") is None:
        return "–"
    return f"{runtime['flips']} of {runtime['images']}"


def summary(times: Sequence[float], busy: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and throughput at batch 1 of times in milliseconds, and the median of the CPU's."""
    ordered = sorted(times)
    return {
        "p50": _percentile(ordered, 50),
        "p99": _percentile(ordered, 99),
        "cpu_ms": _percentile(sorted(busy), 50),
        "images_per_second": 1000 * len(ordered) / sum(ordered),
        "timed": len(ordered),
    }


def _percentile(ordered: Sequence[float], percent: float) -> float:
    """As numpy's default, linear between two values."""
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
