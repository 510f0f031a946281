"""The model package: one ONNX file with its manifest, its golden frames and a digest over every byte of it.

The digest is stored inside the file it covers: it is computed with its own 64 characters set to zeros. It finds
damage and careless edits; that the file is the approved one is shown by its name in the records, `Package.digest`.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from pydantic import ValidationError

from inspection.errors import InspectionError
from inspection.files import write_durably
from inspection.frames import Pixels, decode_frame, encode_png
from inspection.manifest import SCHEMA_VERSION, Manifest

_MANIFEST = "inspection.manifest"
_GOLDEN = "inspection.golden."
_TRAINED = "inspection.trained"
_HELD_OUT = "inspection.held_out"
_SEAL = "inspection.sha256"
_BLANK = b"0" * 64
_KEPT = 8  # bytes of each training file's SHA-256: enough to know it again


class PackageMissing(InspectionError):
    """There is no such file, or it cannot be read."""

    code = "package_missing"


class NotAPackage(InspectionError):
    """The file is no ONNX file with a manifest of ours, or it was cut short."""

    code = "not_a_package"


class PackageDamaged(InspectionError):
    """The file is a package, but not byte for byte as it was made."""

    code = "package_damaged"


@dataclass(frozen=True)
class Package:
    """A package that was read and whose digest fits. `digest` is the file's SHA-256 in hex: the version's identity.

    `trained` holds the first 16 hex digits of the SHA-256 of each file it was fitted on, `held_out` the scores from
    which its limits were set, lowest first; packages made before these were kept have none.
    """

    source: str
    manifest: Manifest
    digest: str
    model: bytes
    golden: dict[str, Pixels]
    trained: frozenset[str]
    held_out: tuple[float, ...] = ()

    @property
    def identity(self) -> dict[str, str]:
        """What results and records name it by."""
        return {"name": self.manifest.name, "version": self.manifest.version, "sha256": self.digest}

    @property
    def label(self) -> str:
        """Name, version and the digest's first characters, for people."""
        return f"{self.manifest.name} {self.manifest.version} ({self.digest[:12]})"

    def was_trained_on(self, sha256: str) -> bool:
        """Whether a file of this SHA-256 (hex) was among the training data."""
        return sha256[: 2 * _KEPT] in self.trained


def seal(
    model: onnx.ModelProto,
    manifest: Manifest,
    golden: dict[str, Pixels],
    trained: Iterable[str] = (),
    held_out: Iterable[float] = (),
) -> bytes:
    """The bytes of a package: `model` with its manifest, golden frames `[H, W, 3]` uint8, the SHA-256s (hex) of the
    files it was `trained` on, the `held_out` scores of good images (kept as float32), and the digest joined to it."""
    names = [frame.name for frame in manifest.golden]
    if sorted(names) != sorted(golden):
        msg = f"golden frames {sorted(golden)} are not those of the manifest, {sorted(names)}"
        raise ValueError(msg)
    sealed = onnx.ModelProto()
    sealed.CopyFrom(model)
    del sealed.metadata_props[:]
    entries = {_MANIFEST: manifest.model_dump_json()}
    entries |= {_GOLDEN + name: base64.b64encode(encode_png(golden[name])).decode() for name in names}
    kept = sorted({bytes.fromhex(sha256)[:_KEPT] for sha256 in trained})
    entries[_TRAINED] = base64.b64encode(b"".join(kept)).decode()
    if len(scores := np.sort(np.array([*held_out], dtype="<f4"))):
        entries[_HELD_OUT] = base64.b64encode(scores.tobytes()).decode()
    entries[_SEAL] = _BLANK.decode()
    for key, value in entries.items():
        sealed.metadata_props.add(key=key, value=value)
    blank = sealed.SerializeToString(deterministic=True)
    sealed.metadata_props[-1].value = hashlib.sha256(blank).hexdigest()
    return sealed.SerializeToString(deterministic=True)


def write_package(path: Path, data: bytes) -> str:
    """Write sealed package bytes durably; returns the file's SHA-256 in hex."""
    write_durably(path, data)
    return hashlib.sha256(data).hexdigest()


def read_package(path: Path) -> Package:
    """The package in a file. Raises PackageMissing, and as `open_package`."""
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        why = getattr(error, "strerror", None) or error
        raise PackageMissing(f"{path} cannot be read ({why}); give the path of a model package") from error
    return open_package(data, str(path))


def open_package(data: bytes, source: str) -> Package:
    """The package in `data`; `source` is used in messages. Raises NotAPackage or PackageDamaged."""
    metadata = _metadata(data, source)
    _check_seal(data, metadata[_SEAL], source)
    manifest = _manifest(metadata[_MANIFEST], source)
    golden = {}
    for frame in manifest.golden:
        encoded = metadata.get(_GOLDEN + frame.name)
        if encoded is None:
            raise PackageDamaged(f"{source} lacks its golden frame {frame.name!r}; get the package again")
        golden[frame.name] = decode_frame(base64.b64decode(encoded), f"{source}: golden frame {frame.name}")
    kept = base64.b64decode(metadata.get(_TRAINED, "")).hex()
    trained = frozenset(kept[at : at + 2 * _KEPT] for at in range(0, len(kept), 2 * _KEPT))
    scores = np.frombuffer(base64.b64decode(metadata.get(_HELD_OUT, "")), dtype="<f4").tolist()
    return Package(source, manifest, hashlib.sha256(data).hexdigest(), data, golden, trained, tuple(scores))


def _metadata(data: bytes, source: str) -> dict[str, str]:
    try:
        model = onnx.ModelProto.FromString(data)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise NotAPackage(
            f"{source} is not a model package, or is cut short; make one with `inspection train`"
        ) from error
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if _MANIFEST not in metadata or _SEAL not in metadata:
        raise NotAPackage(f"{source} has no inspection manifest, or is cut short; make one with `inspection train`")
    external = onnx.TensorProto.EXTERNAL
    if any(tensor.data_location == external for tensor in model.graph.initializer):
        raise NotAPackage(f"{source} keeps weights in other files; a package is one complete file")
    return metadata


def _check_seal(data: bytes, stored: str, source: str) -> None:
    written = stored.encode()
    if len(written) != len(_BLANK) or data.count(written) != 1:
        raise PackageDamaged(f"{source} was changed after it was made (its digest is not whole); get the package again")
    if hashlib.sha256(data.replace(written, _BLANK)).hexdigest() != stored:
        raise PackageDamaged(f"{source} was changed after it was made (its digest does not fit); get the package again")


def _manifest(text: str, source: str) -> Manifest:
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise NotAPackage(
            f"{source} has a manifest that schema {SCHEMA_VERSION} does not read: {where}: {first['msg']}; "
            "use the software version that made it"
        ) from error
