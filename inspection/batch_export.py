"""A batch as a folder that stands for itself: its records as Parquet, its images, a signed manifest.

`inspection verify` accepts it years later, without the archive: the part of each chain from the batch's first to its
last record is there as a whole, up to a signed head.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, func, select

from inspection.archive import Archive
from inspection.errors import InspectionError, OutputExists
from inspection.files import make_folder, write_durably
from inspection.image_store import ImageChanged, ImageMissing, ImageStore
from inspection.json_files import json_bytes
from inspection.records import GENESIS, from_row, utc_text
from inspection.retention import files_of
from inspection.retention_marks import kept_marks
from inspection.schema import entries
from inspection.signatures import SIGNED, signature_fault
from inspection.signing import HEAD_SIGNED, SigningKey, fingerprint, signature_fits
from inspection.verify import Chain, Trust, Verification

MANIFEST, RECORDS, SIGNATURE, IMAGES = "manifest.json", "records.parquet", "manifest.sig", "images"
FORMAT = "inspection-batch/1"
_PAGE = 2000
_NUMBERS = {"score", "review_limit", "reject_limit", "latency_ms"}
_SCHEMA = pa.schema([
    (column.name, pa.int64() if column.name == "sequence" else pa.float64() if column.name in _NUMBERS else pa.string())
    for column in entries.columns
])  # fmt: skip


class ExportInvalid(InspectionError):
    """There is no such batch to export, or a folder is no export of one."""

    code = "export_invalid"


def export_batch(
    archive: Archive, batch: str, out: Path, key: SigningKey, progress: Callable[[], object] = lambda: None
) -> dict[str, Any]:
    """Write the batch into the new folder `out`; the manifest. Raises ExportInvalid, OutputExists, ArchiveFault,
    OutputNotWritable, and ImageMissing or ImageChanged for a file of the batch that is not as it was recorded.
    Files that the retention rule removed are named in the manifest."""
    if out.exists() and any(out.iterdir()):
        raise OutputExists(f"{out} is not empty; choose a new folder")
    kept, removed = kept_marks(archive), set[str]()
    with archive.reader() as connection:
        parts = _parts(connection, batch)
        if not parts:
            raise ExportInvalid(f"{archive.folder} has no record of batch {batch!r}")
        make_folder(out)
        make_folder(out / IMAGES)
        store = ImageStore(out / IMAGES)
        store.claim()
        names: set[str] = set()
        with pq.ParquetWriter(out / RECORDS, _SCHEMA, compression="zstd") as writer:
            for part in parts:
                for rows in _pages(connection, part):
                    writer.write_table(pa.Table.from_pylist(rows, _SCHEMA))
                    for row in rows:
                        progress()
                        for kind, name in files_of(row["frames"]) if row["batch"] == batch else ():
                            if name in names:
                                continue
                            try:
                                names.add(store.put(archive.images.get(name), "." + name.partition(".")[2]))
                            except ImageMissing:
                                if not kept.may_be_gone(row, kind):
                                    raise
                                removed.add(name)
        query = select(entries).where(entries.c.kind == "event", entries.c.reason == SIGNED, entries.c.batch == batch)
        signed = [dict(from_row(row).details) for row in connection.execute(query).mappings()]
    manifest = {
        "format": FORMAT, "batch": batch, "exported_at": utc_text(), "chains": parts, "images": len(names),
        "records_sha256": hashlib.sha256((out / RECORDS).read_bytes()).hexdigest(), "signatures": signed,
        "removed": sorted(removed),
    }  # fmt: skip
    said = {"public_key": key.public_key, "signature": key.sign(manifest)}
    write_durably(out / SIGNATURE, json_bytes(said))
    write_durably(out / MANIFEST, json_bytes(manifest))
    return manifest


def is_export(folder: Path) -> bool:
    """Whether a folder looks like an exported batch."""
    return (folder / MANIFEST).is_file() and (folder / RECORDS).is_file()


def verify_export(
    folder: Path, progress: Callable[[], object] = lambda: None, trust: Trust | None = None
) -> Verification:
    """Check an exported batch: its manifest's signature, every record and chain, signatures and images. Raises
    ExportInvalid where it cannot be read at all."""
    trust, result = trust or Trust(), Verification()
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        said = json.loads((folder / SIGNATURE).read_text())
        if manifest["format"] != FORMAT:
            raise ValueError(manifest["format"])
        _check_manifest(manifest, said, folder, trust, result)
        table = pq.ParquetFile(folder / RECORDS)
        found = (row for group in table.iter_batches(_PAGE) for row in group.to_pylist())
        _check_rows(manifest, found, ImageStore(folder / IMAGES), result, trust, progress)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, pa.ArrowException) as error:
        raise ExportInvalid(f"{folder} cannot be read as an exported batch ({error}); take a sound copy") from error
    return result


def _check_manifest(manifest: Any, said: Any, folder: Path, trust: Trust, result: Verification) -> None:
    if not signature_fits(said["public_key"], manifest, said["signature"]):
        result.problems.append("the manifest was changed: its signature does not fit")
    elif trust.keys and said["public_key"] not in trust.keys:
        result.problems.append("the manifest was signed with another key than the trusted")
    result.keys.add(fingerprint(said["public_key"]))
    if hashlib.sha256((folder / RECORDS).read_bytes()).hexdigest() != manifest["records_sha256"]:
        result.problems.append(f"{RECORDS} is another file than was exported")
    for signature in manifest["signatures"]:
        if fault := signature_fault(signature, trust.keys):
            result.problems.append(f"the signature of {signature.get('by')} under {signature.get('signs')} {fault}")


def _check_rows(
    manifest: Any, rows: Any, store: ImageStore, result: Verification, trust: Trust, progress: Callable[[], object]
) -> None:
    by_station: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_station.setdefault(row["station"], []).append(row)
    hashes: dict[str, str] = {}
    names: set[str] = set()
    removed = set(manifest.get("removed", ()))  # by the retention rule, as the signed manifest says
    for part in manifest["chains"]:
        station = part["station"]
        end, begin = (part["last"], part["last_hash"]), (part["first"] - 1, part["before"])
        inside = [head for head in trust.heads if part["first"] <= int(head["sequence"]) <= part["last"]]
        chain = Chain(station, result, Trust(trust.keys, inside), end, None, begin)
        for row in chain.walk(iter(by_station.pop(station, []))):
            hashes[f"{station}/{row['sequence']}"] = row["hash"]
            for _, name in files_of(row["frames"]) if row["batch"] == manifest["batch"] else ():
                names.add(name)
                if name not in removed:
                    _check_file(store, name, f"record {station}/{row['sequence']}", result)
            progress()
    result.problems += [f"records of {station} were added" for station in by_station]
    result.problems += [f"the file {name} was added" for name in sorted(set(store.names()) - names)]
    result.files = len(names - removed)
    for signature in manifest["signatures"]:
        if hashes.get(signature["signs"], signature["hash"]) != signature["hash"]:
            result.problems.append(f"{signature['by']} signed another {signature['signs']} than is here")


def _check_file(store: ImageStore, name: str, record: str, result: Verification) -> None:
    try:
        store.get(name)
    except (ImageMissing, ImageChanged) as error:
        result.problems.append(f"{record}: {error}")


def _parts(connection: Connection, batch: str) -> list[dict[str, Any]]:
    """Of each station's chain, from the batch's first record to the signed head after its last."""
    table = entries.c
    ends = select(table.station, func.min(table.sequence), func.max(table.sequence)).where(
        table.batch == batch, table.reason.is_distinct_from(SIGNED)
    )
    parts = []
    for station, first, last in connection.execute(ends.group_by(table.station).order_by(table.station)).all():
        signed = select(func.min(table.sequence)).where(
            table.station == station, table.sequence >= last, table.kind == "event", table.reason == HEAD_SIGNED
        )
        last = connection.scalar(signed) or last
        parts.append({
            "station": station, "first": first, "before": _hash(connection, station, first - 1), "last": last,
            "last_hash": _hash(connection, station, last),
        })  # fmt: skip
    return parts


def _hash(connection: Connection, station: str, sequence: int) -> str:
    query = select(entries.c.hash).where(entries.c.station == station, entries.c.sequence == sequence)
    return str(connection.scalar(query) or GENESIS)


def _pages(connection: Connection, part: dict[str, Any]) -> Any:
    table, after = entries.c, part["first"] - 1
    while after < part["last"]:
        query = select(entries).where(
            table.station == part["station"], table.sequence > after, table.sequence <= part["last"]
        )
        rows = [dict(row) for row in connection.execute(query.order_by(table.sequence).limit(_PAGE)).mappings()]
        if not rows:
            return
        yield rows
        after = rows[-1]["sequence"]
