"""The import itself: what a survey found good goes on record, a group of units at once, and can be gone on with.

An imported record says what another system decided, and when. Its frames keep the original time as `captured_at`;
`recorded_at` is when the record came into this archive, as of every record: the chain tells nothing of the years
before. It has no package and no recipe, and `details.imported` says where it comes from. A unit and its review are put
on record in one transaction; so after a crash the same command goes on behind the last unit that is there, and the
records are those of an import that was not interrupted.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import select

from inspection.archive import Archive
from inspection.audit import audit_draft, record_audit
from inspection.importing.rows import rows_digest
from inspection.importing.survey import ImportRefused, StoredRow, Survey, read_image
from inspection.records import AUDIT, Draft, Entry, FrameRecord, canonical_json, from_row
from inspection.reviews import Decision, review_draft
from inspection.schema import entries

STARTED, FINISHED = "archive_import_started", "archive_imported"
_GROUP = 100


@dataclass(frozen=True)
class Import:
    """An import into the chain of `station`, of units of `product`, by a person."""

    archive: Archive
    survey: Survey
    station: str
    product: str
    by: str
    why: str

    def run(self, progress: Callable[[int], object] = lambda _: None) -> Entry | None:
        """Put on record what the survey found good; the record of the import, or None where there was nothing new.
        `progress` is told how many units are on record. Raises ImportRefused, ArchiveFault, OutputNotWritable and what
        reading an image raises; what is on record then is gone on with by the next run."""
        started = self._unfinished()
        if not self.survey.counts.units and started is None:
            return None
        started = started or record_audit(self.archive, self._event(STARTED, self.survey.counts.plain()))
        units, done = self.survey.units(), 0
        while group := list(islice(units, _GROUP)):
            self._write(group, started)
            done += len(group)
            progress(done)
        said = {"started": started.name} | self._on_record(started)
        return record_audit(self.archive, self._event(FINISHED, said))

    def _write(self, group: list[list[StoredRow]], started: Entry) -> None:
        for unit in group:
            for one in unit:
                self._keep(one)
        with self.archive.writing() as write:
            written = write.append([self._draft(unit, started) for unit in group], self.station)
            reviews = [
                self._review(unit[0], entry)
                for unit, entry in zip(group, written, strict=True)
                if unit[0].row.decision is not None
            ]
            if reviews:
                write.append(reviews, self.station)

    def _keep(self, one: StoredRow) -> None:
        data = read_image(self.survey.folder, one.row.image)
        if hashlib.sha256(data).hexdigest() != one.image.partition(".")[0]:
            raise ImportRefused(f"{one.row.image} was changed while it was imported; run the same command again")
        self.archive.images.put(data, "." + one.image.partition(".")[2])

    def _draft(self, unit: list[StoredRow], started: Entry) -> Draft:
        first = unit[0].row
        seen: Counter[str] = Counter()
        frames = []
        for one in unit:
            frames.append(FrameRecord(one.row.camera, seen[one.row.camera], one.row.at, one.image, score=one.row.score))
            seen[one.row.camera] += 1
        said: dict[str, Any] = {
            "file": self.survey.decisions.name, "csv_sha256": self.survey.digest,
            "lines": [one.row.line for one in unit], "rows_sha256": rows_digest([one.row for one in unit]),
            "by": started.details["by"],
            "at": started.recorded_at, "import": started.name, "verdict": first.word,
        }  # fmt: skip
        if first.reason_word:
            said["reason"] = first.reason_word
        scores = [one.row.score for one in unit if one.row.score is not None]
        return Draft(
            kind="unit", unit=first.unit, batch=first.batch, product=self.product, outcome=first.outcome,
            reason=first.reason, score=max(scores, default=None), frames=tuple(frames), details={"imported": said},
        )  # fmt: skip

    def _review(self, one: StoredRow, entry: Entry) -> Draft:
        row = one.row
        comment = f"imported from {self.survey.decisions.name}, line {row.line}"
        said = {"csv_sha256": self.survey.digest, "line": row.line, "import": entry.details["imported"]["import"]}
        return review_draft(entry, row.labels, row.reviewer, comment, Decision(str(row.decision)), imported=said)

    def _event(self, what: str, said: dict[str, Any]) -> Draft:
        return audit_draft(
            what, self.by, self.survey.decisions.name, why=self.why, csv_sha256=self.survey.digest,
            folder=str(self.survey.folder.resolve()), into=self.station, product=self.product,
            mapping=self.survey.mapping.model_dump(mode="json", exclude_defaults=True),
            mapping_sha256=self._mapping_digest, **said,
        )  # fmt: skip

    @property
    def _mapping_digest(self) -> str:
        return hashlib.sha256(canonical_json(self.survey.mapping.model_dump(mode="json")).encode()).hexdigest()

    def _unfinished(self) -> Entry | None:
        """The start of the same import, where it did not come to its end."""
        table = entries.c
        query = select(entries).where(
            table.kind == "event", table.reason.in_((STARTED, FINISHED)), table.station == AUDIT
        )
        mine = (self.survey.digest, self.station, self.product, self._mapping_digest)
        begun: dict[str, Entry] = {}
        with self.archive.reader() as connection:
            for row in connection.execute(query.order_by(table.sequence)).mappings():
                entry = from_row(row)
                said = entry.details
                if entry.reason == FINISHED:
                    begun.pop(str(said.get("started")), None)
                elif tuple(said.get(key) for key in ("csv_sha256", "into", "product", "mapping_sha256")) == mine:
                    begun[entry.name] = entry
        return next(reversed(begun.values()), None)

    def _on_record(self, started: Entry) -> dict[str, Any]:
        """What this import brought, with what was there of it before a crash."""
        outcomes: Counter[str] = Counter()
        images = reviews = 0
        for entry in self._mine(started):
            if entry.kind == "unit":
                outcomes[str(entry.outcome)] += 1
                images += len(entry.frames)
            else:
                reviews += 1
        return {"units": outcomes.total(), "images": images, "reviews": reviews, "outcomes": dict(outcomes),
                "bad": self.survey.counts.bad}  # fmt: skip

    def _mine(self, started: Entry) -> Iterator[Entry]:
        """Units and reviews of this import, by the mark that each carries."""
        mark = f'"import":"{started.name}"'
        for row in self.archive.rows(self.station):
            if mark in row["details"]:
                yield from_row(row)
