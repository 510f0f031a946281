"""The recipe's key `shadow`: a candidate package that looks at the same frames, and decides nothing."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from inspection.manifest import NAME_PATTERN, VERSION_PATTERN
from inspection.verdict import Limits

DEFAULT_SHARE = 0.1


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CandidateRef(_Part):
    """A candidate by its file, relative to the recipe, and its SHA-256; or by the name and version under which the
    archive's registry keeps it, whatever its state there."""

    path: Path | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    name: str | None = Field(default=None, pattern=f"^{NAME_PATTERN}$", max_length=64)
    version: str | None = Field(default=None, pattern=f"^{VERSION_PATTERN}$")

    @model_validator(mode="after")
    def _one_way(self) -> "CandidateRef":
        by_file, by_name = self.path is not None, self.name is not None and self.version is not None
        if by_file == by_name or (self.name is None) != (self.version is None) or (self.sha256 and not by_file):
            msg = "a candidate is named by `path` (and `sha256`), or by `name` and `version` as the registry has it"
            raise ValueError(msg)
        return self

    @property
    def fixed(self) -> bool:
        """Whether it can be one package only."""
        return self.sha256 is not None or self.name is not None

    @property
    def label(self) -> str:
        """How people name it before it was read."""
        return str(self.path) if self.path is not None else f"{self.name} {self.version}"


class ShadowConfig(_Part):
    """`package` runs beside the recipe's own, in its place beside the recipe's classifier, at its own limits or those
    given here. It may take `share` of the time of one processor core, averaged over ten seconds."""

    package: CandidateRef
    share: float = Field(default=DEFAULT_SHARE, gt=0, le=1, allow_inf_nan=False)
    limits: Limits | None = None

    def content(self) -> dict[str, Any]:
        """What of it is under change control: plain values, the candidate by what fixes it, wherever its file lies."""
        return self.model_dump(mode="json", exclude={"package": {"path"}}, exclude_none=True)


def shadow_values(content: dict[str, Any]) -> dict[str, Any]:
    """A `content` as the key of a recipe's file, with a file that somebody has to put beside it."""
    package = dict(content["package"])
    if digest := package.get("sha256"):
        package["path"] = f"candidate-{digest[:12]}.onnx"
    return content | {"package": package}
