"""A selection of units written as a training set: a ZIP that is made while it is sent, or a folder.

    good/, one folder for each defect     images, named by their SHA-256 (the layout `folder`)
    images.jsonl                          each image with its unit's record and where its label comes from
    selection.json                        who exported what, when, how it was looked for, what was left out

The last file is written last: a folder or a ZIP without it is not whole.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspection.archive import Archive, refuse_inside
from inspection.audit import audit_draft, record_audit
from inspection.errors import InspectionError, OutputExists
from inspection.files import make_folder, write_durably
from inspection.image_store import ImageMissing
from inspection.json_files import json_bytes
from inspection.records import utc_text
from inspection.selection import Selection, SelectionInvalid

MANIFEST, IMAGES = "selection.json", "images.jsonl"
FORMAT = "inspection-selection/1"
EXPORTED = "selection_exported"
_LABELLED = "An image's folder is its label: from the review that counts, else from the verdict (label_from)."


class SelectionChanged(InspectionError):
    """A training set is not as it was exported."""

    code = "selection_changed"


@dataclass(frozen=True)
class Asked:
    """Who exports, and what was looked for: the query, or the names of the records that were ticked."""

    by: str
    query: Mapping[str, Any]


def note_export(archive: Archive, selection: Selection, asked: Asked) -> str:
    """Put the export on the audit trail before anything leaves; the name of the event. Raises SelectionInvalid for an
    empty selection, ArchiveFault."""
    said = selection.described()
    if not selection.pictures:
        left = ", ".join(f"{count} {why.replace('_', ' ')}" for why, count in said["left_out"].items()) or "none chosen"
        raise SelectionInvalid(f"no image of these units can be exported ({left}); choose others")
    values = {"query": dict(asked.query)} | said
    return record_audit(archive, audit_draft(EXPORTED, asked.by, f"{selection.units} units", new=values)).name


def write_selection(archive: Archive, selection: Selection, asked: Asked, event: str, out: Path) -> dict[str, Any]:
    """Write it into the folder `out`, which is new or empty; the manifest. Raises OutputExists, BadUsage,
    OutputNotWritable, ImageChanged, ImagesUnreachable."""
    check_out(archive, out)
    for path, data in _files(archive, selection, asked, event):
        make_folder((out / path).parent)
        write_durably(out / path, data)
    manifest: dict[str, Any] = json.loads((out / MANIFEST).read_text())
    return manifest


def check_out(archive: Archive, out: Path) -> None:
    """Raise OutputExists or BadUsage where a folder is not one to write into."""
    refuse_inside(archive.folder, out, "--out", "folder")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExists(f"{out} exists and is not an empty folder; choose another")


def zip_selection(archive: Archive, selection: Selection, asked: Asked, event: str) -> Iterator[bytes]:
    """The parts of a ZIP, one image in memory at a time. Raises ImageChanged and ImagesUnreachable, and the ZIP then
    has no end: nobody can take it for whole."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as packed:  # images do not shrink
        for path, data in _files(archive, selection, asked, event):
            packed.writestr(path, data)
            yield sink.taken()
    yield sink.taken()


def check_selection(folder: Path, found: Mapping[str, str]) -> None:
    """Where the folder is an exported selection: raise SelectionChanged unless it holds the very images that were
    exported. `found` has the SHA-256 of each image by its path in the folder."""
    if not (folder / MANIFEST).is_file():
        return
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        listed = (folder / IMAGES).read_bytes()
        wanted = {line["path"]: line["sha256"] for line in map(json.loads, listed.splitlines())}
        if manifest["format"] != FORMAT or hashlib.sha256(listed).hexdigest() != manifest["images_sha256"]:
            raise SelectionChanged(f"{folder / IMAGES} is not the list that was exported; export the selection again")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SelectionChanged(f"{folder} is no whole exported selection ({error}); export it again") from error
    differing = sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))
    if differing:
        first = differing[0]
        what = "was added" if first not in wanted else "is missing" if first not in found else "has another content"
        raise SelectionChanged(
            f"{folder / first} {what} since the selection was exported ({len(differing)} differ); export it again, or "
            f"remove {MANIFEST} to answer for the images yourself"
        )


def _files(archive: Archive, selection: Selection, asked: Asked, event: str) -> Iterator[tuple[str, bytes]]:
    """Every file with its path; images first, what they are last."""
    written: set[str] = set()
    gone: list[str] = []
    lines = []
    for picture in selection.pictures:
        if picture.path not in written:
            try:
                data = archive.images.get(picture.image)
            except ImageMissing:  # the retention rule may have removed it
                gone.append(picture.about["record"])
                continue
            written.add(picture.path)
            yield picture.path, data
        said = {"path": picture.path, "sha256": picture.image.partition(".")[0], "labels": list(picture.labels),
                "label_from": picture.source} | picture.about  # fmt: skip
        lines.append(json.dumps(said, ensure_ascii=False, sort_keys=True) + "\n")
    listed = "".join(lines).encode()
    yield IMAGES, listed
    left_out = selection.left_out | ({"image_missing": gone} if gone else {})
    yield MANIFEST, json_bytes({
        "format": FORMAT, "layout": "folder", "exported_at": utc_text(), "exported_by": asked.by, "audit": event,
        "query": dict(asked.query), **selection.described(), "images": len(written),
        "left_out": {why: {"units": len(names), "records": names} for why, names in sorted(left_out.items())},
        "images_sha256": hashlib.sha256(listed).hexdigest(), "labels": _LABELLED,
    })  # fmt: skip


class _Sink(io.RawIOBase):
    """What is written, to be taken away."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """Everything since the last time."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data
