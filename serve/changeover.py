"""Changeover: another recipe on a running station, without a restart, and both on record."""

import re
import threading
import time

from inspection.errors import InspectionError
from inspection.recipe import Recipe, read_recipe
from inspection.station import fault_text
from serve.line import Line
from serve.service import Service

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}\.ya?ml")


class ChangeoverRefused(InspectionError):
    """The station goes on with the recipe that it has."""

    code = "changeover_refused"


class Changeover:
    """Gives a service another recipe of its recipe's folder.

    The new recipe is read, its packages are loaded and proved, and its outputs' options checked while the old one still
    runs; only then the line stops, with every unit told and recorded, and cameras and triggers are opened anew. Where
    that fails, the old recipe runs again. Units that come by meanwhile are not announced to anyone: no gate lets them
    through.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._folder = service.line.recipe_file.parent
        self._busy = threading.Lock()

    def recipes(self) -> list[str]:
        """The files that can be asked for. None of them was looked into."""
        return sorted(path.name for path in self._folder.iterdir() if _FILE.fullmatch(path.name) and path.is_file())

    def change(self, name: str, why: str, by: str, batch: str | None = None) -> Line:
        """Run the recipe in the file `name`, for `batch` if one is given; `by` asked for it.

        Raises ChangeoverRefused, which is on record, and ArchiveFault.
        """
        if not self._busy.acquire(blocking=False):
            raise ChangeoverRefused("another changeover is under way; wait until it has ended")
        try:
            return self._change(name, why, by, batch)
        finally:
            self._busy.release()

    def _change(self, name: str, why: str, by: str, batch: str | None) -> Line:
        service, old = self._service, self._service.line
        began = time.monotonic()
        try:
            new = self._prepared(name, batch)
        except Exception as error:
            raise self._refused(name, why, by, error) from error
        try:
            deliveries = None if _same_outputs(old, new) else service.make_deliveries(new)
            service.change_to(new, deliveries)
        except Exception as error:
            new.close()
            raise self._refused(name, why, by, error) from error
        service.station.note(
            "recipe_changed", by=by, why=why, before=_described(old), after=_described(new),
            took_ms=round((time.monotonic() - began) * 1000),
        )  # fmt: skip
        return new

    def _prepared(self, name: str, batch: str | None) -> Line:
        if name not in self.recipes():
            known = ", ".join(self.recipes())
            raise ChangeoverRefused(f"there is no recipe {name!r} beside the one that runs; choose one of {known}")
        recipe = read_recipe(self._folder / name)
        if batch is not None:
            recipe = recipe.model_copy(update={"batch": batch})
        station = self._service.line.recipe.station
        if recipe.station != station:
            raise ChangeoverRefused(f"{name} is for station {recipe.station!r}, and this is {station!r}")
        if recipe.batch is not None:
            if recipe.challenge and recipe.challenge.every == "batch":
                raise ChangeoverRefused(f"{name} has a challenge before every batch; begin the batch after it")
            if self._service.batches.begun:
                raise ChangeoverRefused(f"batch {self._service.batches.begun} runs; stop it before another one begins")
            self._service.batches.refuse_ended(recipe.batch)
        line = self._service.prepare(self._folder / name, recipe)
        try:
            self._service.admit(line)
        except BaseException:
            line.close()
            raise
        return line

    def _refused(self, name: str, why: str, by: str, error: Exception) -> ChangeoverRefused:
        said = fault_text(error)
        self._service.station.note("changeover_refused", by=by, recipe=name, why=why, message=said)
        label = self._service.line.recipe.label
        return ChangeoverRefused(f"{said} The station goes on with {label}.")


def _described(line: Line) -> dict[str, object]:
    recipe: Recipe = line.recipe
    return {"recipe": recipe.label, "batch": recipe.batch, **line.detector.identity, "runtime": line.detector.runtime}


def _same_outputs(old: Line, new: Line) -> bool:
    return old.recipe.outputs == new.recipe.outputs and old.recipe_file.parent == new.recipe_file.parent
