"""Read records, their images and their heatmaps."""

from io import BytesIO
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from fastapi import APIRouter, Query, Response
from PIL import Image

from inspection.accounts.roles import Permission
from inspection.frames import Pixels, decode_frame, encode_png
from inspection.heatmap import decode_heatmap, overlay
from inspection.image_store import ImageChanged, ImageMissing, ImagesUnreachable
from inspection.record_findings import deciding_limits
from inspection.records import Entry, intact
from inspection.signatures import signatures_of
from inspection.verdict import Outcome
from serve.deps import EntryDep, ServiceDep, allow
from serve.descriptions import describe_entry
from serve.problems import Problem
from serve.service import Service

router = APIRouter(prefix="/api/records", tags=["records"], dependencies=[allow(Permission.VIEW)])
Width = Annotated[int | None, Query(ge=16, le=4096, description="Shrink to this width in pixels.")]
_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".bmp": "image/bmp", ".webp": "image/webp", ".tiff": "image/tiff",
          ".jxl": "image/jxl"}  # fmt: skip
_SHOWN_AS_THEY_ARE = {"image/png", "image/jpeg"}
# The address names a record, not a content: another archive behind the same address has another image there.
_FRESH = {"Cache-Control": "no-cache"}


@router.get("")
def list_records(
    service: ServiceDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    kind: Literal["unit", "event"] = "unit",
    outcome: Outcome | None = None,
) -> list[dict[str, Any]]:
    """The newest records first."""
    return [describe_entry(entry) for entry in service.archive.latest(limit, kind=kind, outcome=outcome)]


@router.get("/{station}/{sequence}")
def read_record(service: ServiceDep, entry: EntryDep) -> dict[str, Any]:
    """One record, with its signatures, and whether its content is what its hash says."""
    signatures = [vars(one) for one in signatures_of(service.archive, entry)]
    return describe_entry(entry) | {"intact": intact(entry), "signatures": signatures}


@router.get("/{station}/{sequence}/image", response_class=Response)
def read_image(
    service: ServiceDep, entry: EntryDep, frame: Annotated[int, Query(ge=0)] = 0, width: Width = None
) -> Response:
    """The image as it was recorded, byte for byte; with `width`, a picture for a page, no wider than that."""
    kept = entry.frames[frame] if frame < len(entry.frames) else None
    small = bool(width and kept and kept.thumbnail and not kept.image)
    name, data = _stored(service, entry, frame, "thumbnail" if small else "image")
    media_type = _TYPES.get("." + name.partition(".")[2], "application/octet-stream")
    if width is None:
        return Response(data, media_type=media_type, headers=_FRESH)
    if media_type in _SHOWN_AS_THEY_ARE:
        with Image.open(BytesIO(data)) as header:  # does not decode
            if header.width <= width:
                return Response(data, media_type=media_type, headers=_FRESH)
    pixels = decode_frame(data, name) if small else _pixels(service, data, name)  # a thumbnail has three channels
    return _picture(_shrunk(pixels, width))


@router.get("/{station}/{sequence}/heatmap", response_class=Response)
def read_heatmap(
    service: ServiceDep, entry: EntryDep, frame: Annotated[int, Query(ge=0)] = 0, width: Width = None
) -> Response:
    """The heatmap over the image, in the colours of the limits that were applied: a PNG; with `width`, as the image."""
    image_name, image = _stored(service, entry, frame, "image")
    heatmap_name, heatmap = _stored(service, entry, frame, "heatmap")
    pixels = _shrunk(_pixels(service, image, image_name), width)
    limits = deciding_limits(entry)
    assert limits is not None
    shown = overlay(pixels, decode_heatmap(heatmap, heatmap_name), limits)
    return _picture(shown) if width else Response(encode_png(shown), media_type="image/png", headers=_FRESH)


def _stored(
    service: Service, entry: Entry, frame: int, which: Literal["image", "heatmap", "thumbnail"]
) -> tuple[str, bytes]:
    name = getattr(entry.frames[frame], which) if frame < len(entry.frames) else None
    if name is None:
        small = which == "image" and frame < len(entry.frames) and entry.frames[frame].thumbnail
        why = ": of this unit that passed only a thumbnail was kept (give `width`)" if small else ""
        raise Problem(404, "image_missing", f"record {entry.name} has no {which} for frame {frame}{why}")
    try:
        return name, service.archive.images.get(name)
    except ImageMissing as error:
        raise Problem(404, error.code, f"record {entry.name}: {error}") from error
    except ImagesUnreachable as error:
        raise Problem(503, error.code, str(error)) from error
    except ImageChanged as error:
        raise Problem(409, error.code, f"record {entry.name}: {error}; run `inspection verify`") from error


def _picture(pixels: Pixels) -> Response:
    """For pages: a JPEG takes a tenth of the time of a PNG, which would be the line's."""
    data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    return Response(data, media_type="image/jpeg", headers=_FRESH)


def _pixels(service: Service, data: bytes, name: str) -> Pixels:
    return decode_frame(data, name, service.station.detector.manifest.input.colour)


def _shrunk(pixels: Pixels, width: int | None) -> Pixels:
    if width is None or width >= pixels.shape[1]:
        return pixels
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
