"""A report made beside the line: in a process of low priority, for it may have many units to compare."""

import multiprocessing
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from inspection.errors import InspectionError
from serve.shadow.process import give_way

Form = Literal["json", "html", "pdf"]
_PATIENCE_S = 300.0
_STOP_S = 5.0
_context = multiprocessing.get_context("spawn")
_one = threading.Lock()  # a second one is refused: whoever waits holds a thread that others need


class ReportFailed(InspectionError):
    """A shadow's report could not be made; the code is that of why, where that is known."""

    code = "report_failed"


class ReportBusy(InspectionError):
    """Another report is being made."""

    code = "report_busy"


def make_report(archive: Path, candidate: str, form: Form, by: str) -> bytes:
    """The report of `shadow_report` on the archive in a folder as JSON, as a page or on paper, printed by `by`. Raises
    ReportBusy at once, and ReportFailed."""
    if not _one.acquire(blocking=False):
        raise ReportBusy("another report is being made; try again in a minute")
    try:
        return _made(archive, candidate, form, by)
    finally:
        _one.release()


def _made(archive: Path, candidate: str, form: Form, by: str) -> bytes:
    ours, theirs = _context.Pipe(duplex=False)
    process = _context.Process(target=_make, args=(theirs, str(archive), candidate, form, by), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_PATIENCE_S):
            raise ReportFailed(
                f"the report was not made within {_PATIENCE_S:g} s; make it with `inspection shadow report`"
            )
        code, data = ours.recv()
    except EOFError as error:
        raise ReportFailed("the process that made the report died; make it with `inspection shadow report`") from error
    finally:
        ours.close()
        process.kill()
        process.join(_STOP_S)
    if code:
        failed = ReportFailed(str(data))
        failed.code = code
        raise failed
    return bytes(data)


def _make(connection: Connection, archive: str, candidate: str, form: Form, by: str) -> None:
    give_way()
    from inspection.archive import Archive
    from inspection.equivalence.page import render_page
    from inspection.equivalence.paper import render_pdf
    from inspection.json_files import json_bytes
    from inspection.shadow.report import shadow_report

    try:
        with Archive(Path(archive), read_only=True) as opened:
            answer = shadow_report(opened, candidate)
        if form == "json":
            made = json_bytes(answer)
        else:
            made = render_page(answer) if form == "html" else render_pdf(answer, by)
        connection.send(("", made))
    except InspectionError as error:
        connection.send((error.code, str(error)))
