"""Serve a demonstration line and summarise what it decided against the simulator's truth."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from inspection.accounts.passwords import new_password
from inspection.accounts.sign_in import SignIn
from inspection.accounts.users import create_first, has_users
from inspection.errors import InspectionError
from inspection.records import Entry, from_row
from inspection.verdict import Outcome
from inspection.verify import verify_archive
from serve.server import Server, listen
from serve.service import Service, build_service

_NAME = "d.demo"


def _account(service: Service) -> str:
    """An account to look at the page with, and its password, which is another each time."""
    password = new_password()
    if has_users(service.archive):
        SignIn(service.archive).reset_password(_NAME, password, "demo", "the demonstration was started again")
    else:
        create_first(service.archive, _NAME, "Dora Demo", password)
    return password


class DemoFailed(InspectionError):
    """The demonstration did not come to what it is to show."""

    code = "demo_failed"


def serve_demo(recipe: Path, archive: Path, port: int, units: int, once: bool, say: Callable[[str], object]) -> None:
    """Serve until `units` are recorded and summarised; unless `once`, go on until a signal. Raises DemoFailed."""
    with ExitStack() as stack:
        listener = stack.enter_context(listen("127.0.0.1", port))
        service = build_service(recipe, archive, stack, unapproved=True)
        before = (service.archive.noted_heads().get(service.station.recipe.station) or (0, ""))[0]
        server = Server(service, listener)
        password = _account(service)
        say(f"inspecting {units} units; the page is at {server.address}")
        say(f"sign in as {_NAME} with the password {password}")

        async def run() -> None:
            serving = asyncio.create_task(server.serve_bound())
            try:
                while service.tally.snapshot()["units"] < units and not service.alarm and not serving.done():
                    await asyncio.sleep(0.05)
                await asyncio.to_thread(_summarise, service, before, units, say)
                if not once and not serving.done():
                    say(f"still inspecting: open {server.address} (Ctrl-C stops)")
                    await serving
            finally:
                server.finish()
                await serving

        asyncio.run(run())


def _summarise(service: Service, before: int, units: int, say: Callable[[str], object]) -> None:
    rows = service.archive.rows(service.station.recipe.station, before)
    say(summary([entry for entry in map(from_row, rows) if entry.kind == "unit"][:units]))
    verification = verify_archive(service.archive.folder)
    intact = "intact" if verification.intact else "NOT INTACT: " + "; ".join(verification.problems)
    counted = f"{verification.entries} records, {verification.files} images and heatmaps"
    say(f"archive {service.archive.folder}: {counted}, {intact}")
    if service.alarm or not verification.intact:
        raise DemoFailed(service.alarm or f"{service.archive.folder} was altered; remove it and try again")


def summary(entries: Sequence[Entry]) -> str:
    """A table of truth against outcome, and the latency."""
    counts: Counter[tuple[str, str]] = Counter(
        (str(e.details.get("truth", "unknown")), str(e.outcome)) for e in entries
    )
    truths = sorted({truth for truth, _ in counts}, key=lambda truth: (truth != "good", truth))
    names = [str(outcome) for outcome in Outcome]
    lines = ["", f"{'truth':<18}" + "".join(f"{name:>8}" for name in names)]
    lines += [f"{truth:<18}" + "".join(f"{counts[truth, name] or '-':>8}" for name in names) for truth in truths]
    good = [entry for entry in entries if entry.details.get("truth") == "good"]
    bad = [entry for entry in entries if entry.details.get("truth") != "good"]
    stopped = sum(entry.outcome != Outcome.PASS for entry in bad)
    passed = sum(entry.outcome == Outcome.PASS for entry in good)
    latencies = sorted(e.latency_ms for e in entries if e.score is not None and e.latency_ms is not None)
    lines.append(
        f"{len(entries)} units: {stopped} of {len(bad)} defective ones stopped, "
        f"{passed} of {len(good)} good ones passed; "
        f"latency p50 {_at(latencies, 0.5):.0f} ms, p99 {_at(latencies, 0.99):.0f} ms"
    )
    return "\n".join(lines)


def _at(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")
