"""What a trial's evidence says so far, from its counts alone: quick however many units there are."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from inspection.equivalence.figures import Margins, figures_of
from inspection.equivalence.pairs import OUTCOMES
from inspection.equivalence.verdict import judge
from inspection.shadow.events import ShadowFinding
from inspection.shadow.evidence import TrialEvidence


def live_answer(evidence: TrialEvidence, margins: Margins | None = None) -> dict[str, Any]:
    """Plain JSON values: the trial; the verdict by the rule of the report (`judge`) with its sentence and how many
    units it takes; both rates; the agreement's matrix (old outcomes in rows) with Cohen's kappa; McNemar's test; what
    was shed and failed; the last units that were decided differently, the newest first. What reviewers say is in counts
    alone: somebody may be due to look at one of the units without knowing."""
    margins = margins or Margins()
    whole = figures_of(evidence.table, margins)
    parts = [(f"{kind} {name}", figures_of(table, margins))
             for kind, tables in (("defect", evidence.defects), ("camera", evidence.cameras))
             for name, table in sorted(tables.items()) if table.any()]  # fmt: skip
    verdict = judge(whole, parts, margins)
    figures = {name: value for name, value in asdict(whole).items() if name != "scores"}
    return {
        **evidence.trial.plain(), "outcomes": OUTCOMES, "since": evidence.since, "until": evidence.until,
        "margins": asdict(margins), "verdict": asdict(verdict), "figures": figures,
        "shed": _counts(evidence.shed), "failed": _counts(evidence.failed), "stations": sorted(evidence.stations),
        "differing": [_place(one) for one in reversed(evidence.differing)],
    }  # fmt: skip


def _counts(by_reason: Mapping[str, int]) -> dict[str, Any]:
    most = sorted(by_reason.items(), key=lambda item: (-item[1], item[0]))
    return {"units": sum(by_reason.values()), "by_reason": dict(most)}


def _place(one: ShadowFinding) -> dict[str, Any]:
    return {
        "record": one.record, "unit": one.unit, "batch": one.batch, "old": one.old.outcome, "new": one.new.outcome,
        "old_score": one.old.score, "new_score": one.new.score, "reason": one.new.reason, "message": one.message,
    }  # fmt: skip
