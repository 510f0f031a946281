"""Read records, their images and their heatmaps."""

from io import BytesIO
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from fastapi import APIRouter, Depends, Header, Query, Response
from PIL import Image

from inspection.accounts.roles import Permission
from inspection.frames import Pixels, decode_frame, encode_png
from inspection.heatmap import Heatmap, decode_heatmap, drawn_alone, overlay
from inspection.image_store import ImageChanged, ImageMissing, ImagesUnreachable
from inspection.outlines import Polygon, outlines
from inspection.record_findings import deciding_limits
from inspection.records import Entry, intact
from inspection.search import search
from inspection.search_query import SearchInvalid
from inspection.signatures import signatures_of
from inspection.verdict import Limits
from serve.authentication import Who
from serve.deps import Allowed, EntryDep, ServiceDep, allow
from serve.descriptions import describe_entry
from serve.normals import golden_frame
from serve.problems import Problem
from serve.record_search import WantedDep, query_of
from serve.routes.reviews import refuse_withheld, withheld
from serve.service import Service
from serve.small_pictures import SmallPictures

router = APIRouter(prefix="/api/records", tags=["records"], dependencies=[allow(Permission.VIEW)])
Width = Annotated[int | None, Query(ge=16, le=4096, description="Shrink to this width in pixels.")]
Reader = Annotated[Who, Depends(Allowed(Permission.VIEW))]
Frame = Annotated[int, Query(ge=0)]
_LAYER_PX = 512
_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".bmp": "image/bmp", ".webp": "image/webp", ".tiff": "image/tiff",
          ".jxl": "image/jxl"}  # fmt: skip
_SHOWN_AS_THEY_ARE = {"image/png", "image/jpeg"}
# The address names a record, not a content: another archive behind the same address has another image there.
_FRESH = {"Cache-Control": "no-cache"}
_SMALL = SmallPictures()


@router.get("")
def list_records(
    service: ServiceDep,
    who: Reader,
    wanted: WantedDep,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    kind: Literal["unit", "event"] = "unit",
    after: Annotated[str, Query(max_length=300, description="X-Next-After of the page before.")] = "",
) -> list[dict[str, Any]]:
    """Units' records that fit all that is given, the newest first unless `order` says otherwise; or the newest events,
    without the decisions of others on units that who asks is to decide on blind. `X-Next-After` says where the next
    page begins, `X-Looked-To` how far back one has looked where that was not all."""
    if kind == "event":
        found = service.archive.latest(limit, kind=kind)
        return [describe_entry(entry) for entry in found if not withheld(service.archive, entry, who)]
    try:
        page = search(service.archive, query_of(service, wanted), limit, after or None)
    except SearchInvalid as error:
        raise Problem(422, error.code, str(error)) from error
    said = {"X-Next-After": page.after, "X-Looked-To": page.looked_to}
    response.headers.update({name: value for name, value in said.items() if value})
    return [describe_entry(entry) for entry in page.found]


@router.get("/{station}/{sequence}")
def read_record(service: ServiceDep, entry: EntryDep, who: Reader) -> dict[str, Any]:
    """One record, with its signatures, and whether its content is what its hash says."""
    refuse_withheld(service.archive, entry, who)
    signatures = [vars(one) for one in signatures_of(service.archive, entry)]
    return describe_entry(entry) | {"intact": intact(entry), "signatures": signatures}


@router.get("/{station}/{sequence}/image", response_class=Response)
def read_image(
    service: ServiceDep, entry: EntryDep, frame: Frame = 0, width: Width = None,
    known: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:  # fmt: skip
    """The image as it was recorded, byte for byte; with `width`, a picture for a page, no wider than that."""
    kept = entry.frames[frame] if frame < len(entry.frames) else None
    small = bool(width and kept and kept.thumbnail and not kept.image)
    which: Literal["thumbnail", "image"] = "thumbnail" if small else "image"
    stored = getattr(kept, which, None)
    if width is None or stored is None:
        name, data = _stored(service, entry, frame, which)
        return Response(data, media_type=_media_type(name), headers=_FRESH)
    # The content never changes, so a browser that has it is told so. It asks each time: its user may not any more.
    headers = {"Cache-Control": "private, no-cache", "ETag": f'"{stored.partition(".")[0][:32]}-{width}"'}
    if known == headers["ETag"]:
        return Response(status_code=304, headers=headers)

    def make() -> tuple[bytes, str]:
        name, data = _stored(service, entry, frame, which)
        if _media_type(name) in _SHOWN_AS_THEY_ARE:
            with Image.open(BytesIO(data)) as header:  # does not decode
                if header.width <= width:
                    return data, _media_type(name)
        pixels = decode_frame(data, name) if small else _pixels(service, data, name)  # a thumbnail has three channels
        return _jpeg(_shrunk(pixels, width)), "image/jpeg"

    data, media_type = _SMALL.get(stored, width, make)
    return Response(data, media_type=media_type, headers=headers)


@router.get("/{station}/{sequence}/heatmap", response_class=Response)
def read_heatmap(
    service: ServiceDep, entry: EntryDep, frame: Frame = 0, width: Width = None,
    layer: Annotated[bool, Query(description="The heatmap alone, to be laid over the image.")] = False,
) -> Response:  # fmt: skip
    """The heatmap over the image, in the colours of the limits that were applied: a PNG; with `width`, as the image.
    With `layer`, it alone as a transparent PNG, `width` pixels wide (512 without it)."""
    if layer:
        shown = drawn_alone(*_heatmap(service, entry, frame), width or _LAYER_PX)
        return Response(shown, media_type="image/png", headers=_FRESH)
    image_name, image = _stored(service, entry, frame, "image")
    pixels = _shrunk(_pixels(service, image, image_name), width)
    over = overlay(pixels, *_heatmap(service, entry, frame))
    return _picture(over) if width else Response(encode_png(over), media_type="image/png", headers=_FRESH)


@router.get("/{station}/{sequence}/outlines")
def read_outlines(service: ServiceDep, entry: EntryDep, frame: Frame = 0) -> dict[str, list[Polygon]]:
    """Where the heatmap reaches the `review` and the `reject` limit: polygons of (x, y) in shares of the frame."""
    heatmap, limits = _heatmap(service, entry, frame)
    return outlines(heatmap, limits, heatmap.shape[1] / heatmap.shape[0])


@router.get("/{station}/{sequence}/normal")
def read_normal(service: ServiceDep, entry: EntryDep, frame: Frame = 0) -> dict[str, Any]:
    """What the frame should look like: the most similar frame of a unit that passed (`kind` passed), or else a golden
    frame of the package (golden), or nothing (none). `compared` says of how many it was chosen."""
    found = service.normals.find(service, entry, frame)
    return {key: value for key, value in vars(found).items() if value is not None}


@router.get("/{station}/{sequence}/golden", response_class=Response)
def read_golden(service: ServiceDep, entry: EntryDep) -> Response:
    """A good golden frame of the package that made the record, where it is the one that runs: as the model sees it."""
    pixels = golden_frame(service, entry)
    if pixels is None:
        raise Problem(404, "image_missing", f"the package of record {entry.name} does not run here")
    return Response(encode_png(pixels), media_type="image/png", headers=_FRESH)


def _heatmap(service: Service, entry: Entry, frame: int) -> tuple[Heatmap, Limits]:
    """A frame's heatmap, and the limits of the finding that it is of."""
    name, data = _stored(service, entry, frame, "heatmap")
    limits = deciding_limits(entry)
    assert limits is not None
    return decode_heatmap(data, name), limits


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
    return Response(_jpeg(pixels), media_type="image/jpeg", headers=_FRESH)


def _jpeg(pixels: Pixels) -> bytes:
    return cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def _media_type(name: str) -> str:
    return _TYPES.get("." + name.partition(".")[2], "application/octet-stream")


def _pixels(service: Service, data: bytes, name: str) -> Pixels:
    return decode_frame(data, name, service.station.detector.manifest.input.colour)


def _shrunk(pixels: Pixels, width: int | None) -> Pixels:
    if width is None or width >= pixels.shape[1]:
        return pixels
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
