"""A challenge kit: a named version of units whose truth is known, with their images by their SHA-256.

Automatic inspection is challenged with known units before a batch and at regular intervals (EU GMP Annex 1, 8.32).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from inspection.archive import Archive
from inspection.config import ConfigInvalid, read_mapping, validate
from inspection.errors import InspectionError
from inspection.frames import FrameWrongFormat, decode_frame, image_suffix, read_image_file
from inspection.image_store import is_name
from inspection.manifest import NAME_PATTERN, VERSION_PATTERN
from inspection.recipe import ChallengeConfig
from inspection.registry.items import State, Version, Versions
from inspection.registry.kept import kept_json

STOPPED = "stopped"


class KitUnusable(InspectionError):
    """There is no approved kit, or it is not as it was registered."""

    code = "kit_unusable"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KitImage(_Part):
    """A unit's image: a file, or, once registered, its name in the image store; of a `camera` of the recipe, which need
    not be named where the recipe has one."""

    image: str = Field(min_length=1, max_length=1024)
    camera: str | None = Field(default=None, max_length=64)


class KitUnit(_Part):
    """A known unit. A good one must pass; a defective one must be `stopped`, by REJECT or REVIEW, or exactly by
    `REJECT` where that is expected."""

    id: str = Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f]+$")
    truth: Literal["good", "defective"]
    defect: str | None = Field(default=None, min_length=1, max_length=128)
    expected: Literal["PASS", "stopped", "REJECT"] | None = None
    images: tuple[KitImage, ...] = Field(min_length=1, max_length=64)

    @field_validator("images", mode="before")
    @classmethod
    def _by_path_alone(cls, images: Any) -> Any:
        if not isinstance(images, list | tuple):
            return images
        return [{"image": one} if isinstance(one, str) else one for one in images]

    @model_validator(mode="after")
    def _fits_its_truth(self) -> "KitUnit":
        good = self.truth == "good"
        if self.expected is None:
            object.__setattr__(self, "expected", "PASS" if good else STOPPED)
        if good != (self.expected == "PASS"):
            msg = f"unit {self.id} is {self.truth} and cannot be expected to be {self.expected}"
            raise ValueError(msg)
        if good and self.defect:
            msg = f"unit {self.id} is good and cannot have the defect {self.defect!r}"
            raise ValueError(msg)
        return self


class Kit(_Part):
    """A version of a kit, of good and of defective units: one kind alone proves nothing of a station that passes, or
    stops, whatever comes."""

    name: str = Field(pattern=f"^{NAME_PATTERN}$", max_length=64)
    version: str = Field(pattern=f"^{VERSION_PATTERN}$")
    product: str = Field(min_length=1, max_length=128)
    units: tuple[KitUnit, ...] = Field(min_length=2, max_length=1000)

    @model_validator(mode="after")
    def _complete(self) -> "Kit":
        ids = [unit.id for unit in self.units]
        twice = next((one for one in ids if ids.count(one) > 1), None)
        if twice:
            msg = f"unit {twice} stands there more than once"
            raise ValueError(msg)
        if len({unit.truth for unit in self.units}) < 2:
            msg = "a kit has good and defective units, one of each at least"
            raise ValueError(msg)
        return self

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"

    @property
    def files(self) -> list[str]:
        """The names of all its images in the store, each once."""
        return list(dict.fromkeys(one.image for unit in self.units for one in unit.images))


def read_kit(file: Path) -> tuple[Kit, dict[str, bytes]]:
    """A kit in a YAML file, and the bytes of its images by the paths that it names, seen from the file's folder. Raises
    ConfigInvalid, FrameUnreadable, FrameWrongFormat."""
    kit = validate(read_mapping(file, ", ".join(Kit.model_fields)), Kit, str(file))
    data: dict[str, bytes] = {}
    for path in kit.files:
        data[path] = read_image_file(file.parent / path)
        try:
            decode_frame(data[path], path)
        except FrameWrongFormat:
            decode_frame(data[path], path, "mono")
    if len(set(data.values())) < len(data):
        raise ConfigInvalid(f"{file}: two units have the very same image; a kit's units are different ones")
    return kit, data


def stored(archive: Archive, kit: Kit, data: dict[str, bytes]) -> Kit:
    """The kit with its images in the store, by their names there. Raises OutputNotWritable."""
    names = {path: archive.images.put(content, image_suffix(content)) for path, content in data.items()}
    units = [
        unit.model_copy(update={"images": tuple(KitImage(image=names[one.image], camera=one.camera)
                                                for one in unit.images)})
        for unit in kit.units
    ]  # fmt: skip
    return kit.model_copy(update={"units": tuple(units)})


def approved_kit(versions: Versions, config: ChallengeConfig) -> Version:
    """The version of a kit that a recipe's challenge takes: the one it names, or the one approved last. Raises
    KitUnusable."""
    kits = [one for one in versions.values() if (one.kind, one.name) == ("kit", config.kit)]
    kits = [one for one in kits if config.version in (None, one.version)]
    named = f"kit {config.kit}{f' {config.version}' if config.version else ''}"
    if not kits:
        raise KitUnusable(f"{named} is not registered; do it with `inspection challenge register`")
    approved = [one for one in kits if one.state == State.APPROVED]
    if not approved:
        raise KitUnusable(f"{named} is {kits[-1].state} and not approved; quality approves it first")
    return max(approved, key=lambda one: one.steps[-1].at)


def kept_kit(archive: Archive, version: Version) -> Kit:
    """The content of a registered kit. Raises KitUnusable."""
    try:
        kit = validate(kept_json(archive, version.content, version.label), Kit, version.label)
    except InspectionError as error:
        raise KitUnusable(f"{version.label} cannot be used: {error}") from error
    if (kit.name, kit.version) != (version.name, version.version) or not _all_stored(kit.files):
        raise KitUnusable(f"{version.label} is another than was registered; run `inspection verify`")
    return kit


def _all_stored(names: Sequence[str]) -> bool:
    return all(map(is_name, names))
