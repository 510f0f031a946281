"""The comparison of an old and a new package as a whole: the answer that is signed and attached to a change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from inspection import __version__
from inspection.equivalence.changes import Changes, changes
from inspection.equivalence.figures import Codes, Figures, Margins, codes, figures
from inspection.equivalence.pairs import Pairs, PairsInvalid
from inspection.equivalence.verdict import Verdict, judge
from inspection.equivalence.wording import left_out_words

FORMAT = "inspection-equivalence/1"
MOST_NAMED, MOST_BATCHES, MOST_POINTS = 100, 500, 2000


@dataclass(frozen=True)
class Group:
    """The units of one defect class (the defective ones that show it), camera or batch. A unit may be in several."""

    name: str
    figures: Figures


@dataclass(frozen=True)
class Comparison:
    """All of it. `about` says what was compared, as the caller told; `left_out` counts what could not be compared, by
    reason, and is said in the verdict's sentence. `repeated` counts units that were inspected several times (same batch
    and name, another record): intervals take them for independent and are then too narrow. Of the batches at most
    MOST_BATCHES are in `batches`, those with the most changed units first; `batches_left_out` counts the others.
    `points` are old and new scores for a plot, evenly chosen, and whether the decision changed."""

    margins: Margins
    verdict: Verdict
    figures: Figures
    changes: Changes
    defects: tuple[Group, ...]
    cameras: tuple[Group, ...]
    batches: tuple[Group, ...]
    batches_left_out: int
    products: Mapping[str, int]
    repeated: int
    points: tuple[tuple[float, float, bool], ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Plain JSON values, the same for the same units in the same order."""
        return {"format": FORMAT, "software": __version__, **_plain(asdict(self))}


def compare(
    pairs: Pairs,
    margins: Margins | None = None,
    *,
    left_out: Mapping[str, int] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Comparison:
    """Compare both packages' decisions on `pairs`; `judge` has the rule for the verdict. Deterministic: no time, no
    chance. Raises PairsInvalid where there is no unit at all."""
    margins = margins or Margins()
    words = left_out_words(left_out or {})
    without = f"; left out: {', '.join(words)}" if words else ""
    if not len(pairs):
        raise PairsInvalid(f"there is no unit that both decided, so that nothing can be compared{without}")
    units = codes(pairs)
    whole = figures(units, margins)
    defects = _groups(_named(pairs.defects, only=units.defective), units, margins)
    cameras = _groups(_named(pairs.cameras), units, margins)
    batches = _groups(_named([[name] if name is not None else [] for name in pairs.batch]), units, margins)
    most_changed = sorted(batches, key=lambda group: (-group.figures.changed, group.name))
    parts = [(f"{kind} {group.name}", group.figures) for kind, groups in (("defect", defects), ("camera", cameras))
             for group in groups]  # fmt: skip
    verdict = judge(whole, parts, margins)
    return Comparison(
        margins=margins,
        verdict=replace(verdict, sentence=f"{verdict.sentence.removesuffix('.')}{without}."),
        figures=whole,
        changes=changes(pairs, units, MOST_NAMED),
        defects=defects,
        cameras=cameras,
        batches=tuple(most_changed[:MOST_BATCHES]),
        batches_left_out=max(0, len(batches) - MOST_BATCHES),
        products={name: len(found) for name, found in _named([[str(one or "–")] for one in pairs.product]).items()},
        repeated=len(pairs) - len(set(zip(pairs.unit, pairs.batch, strict=True))),
        points=_points(units),
        left_out=dict(left_out or {}),
        about=dict(about or {}),
    )


def check_plain(value: Any) -> dict[str, Any]:
    """A result that was read from JSON, if it is one of this format. Raises PairsInvalid."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise PairsInvalid(f"this is no comparison of the format {FORMAT}; make one with `inspection compare --json`")
    return value


def _named(names: Sequence[Iterable[str]], only: np.ndarray | None = None) -> dict[str, list[int]]:
    """The indices of the units that have each name, of those that `only` allows."""
    found: dict[str, list[int]] = {}
    for at, those in enumerate(names):
        if only is None or only[at]:
            for name in sorted(set(those)):
                found.setdefault(name, []).append(at)
    return dict(sorted(found.items()))


def _groups(named: Mapping[str, list[int]], units: Codes, margins: Margins) -> tuple[Group, ...]:
    return tuple(Group(name, figures(units.of(np.asarray(found)), margins)) for name, found in named.items())


def _points(units: Codes) -> tuple[tuple[float, float, bool], ...]:
    """Old score, new score and whether the decision changed, of at most MOST_POINTS units, half of them changed."""
    known = ~(np.isnan(units.old_score) | np.isnan(units.new_score))
    changed = units.old != units.new
    return tuple(
        (float(units.old_score[at]), float(units.new_score[at]), bool(changed[at]))
        for some in (known & ~changed, known & changed)
        for at in _evenly(np.flatnonzero(some), MOST_POINTS // 2)
    )


def _evenly(indices: np.ndarray, most: int) -> np.ndarray:
    return indices[:: -(-len(indices) // most) or 1]


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON gives them back."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
