"""What a model package says of itself. It travels inside the ONNX file; unknown keys are refused."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from inspection.preprocess import Geometry
from inspection.runtimes.engine import Precision
from inspection.verdict import Limits, Outcome

SCHEMA_VERSION: Literal[1] = 1
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]*"
VERSION_PATTERN = r"\d+\.\d+\.\d+"
Sha256 = Field(pattern=r"^[0-9a-f]{64}$")
Parameter = bool | int | float | str


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BackboneInfo(_Part):
    """The frozen network that gives the features."""

    name: str
    sha256: str = Sha256
    licence: str


Severity = Literal["critical", "major", "minor"]
ClassAction = Literal["reject", "review"]


class DefectClass(_Part):
    """One class of a classifier, with what it means for the patient. A unit that shows it with at least the probability
    `confidence_limit` is rejected or, where the `action` says so, looked at by a person; with less, the class is not
    named and a person looks as well."""

    name: str = Field(pattern=r"\S")
    severity: Severity
    action: ClassAction = "reject"
    confidence_limit: float = Field(default=0.5, gt=0, le=1)


class CalibrationInfo(_Part):
    """How a classifier's probabilities were made honest, on `images` for validation: by what its logits are divided,
    and the expected calibration error before and after."""

    temperature: float
    images: int
    error: float
    error_before: float


class SplitDigest(_Part):
    """One part of the data: how many files, and the SHA-256 over their sorted SHA-256s."""

    files: int
    sha256: str = Sha256


class DataInfo(_Part):
    """What the package was fitted on, without paths: the digests are those of the split manifest."""

    layout: str
    category: str
    splits: dict[str, SplitDigest]


class LimitsInfo(_Part):
    """How the limits were set, and on what."""

    method: str
    false_reject_rate: float = Field(gt=0, lt=1)
    held_out_good: int
    held_out_above_review: int
    held_out_median: FiniteFloat
    held_out_maximum: FiniteFloat


class GoldenFrame(_Part):
    """A stored model input with what the package said of it when it was made: score and, of a classifier, the
    probabilities of its classes. Engines round int8 and bf16 differently: `scores` and `classes_in` are those of the
    ones, by name, that gave others than `score` and `classes`."""

    name: str
    score: FiniteFloat
    outcome: Outcome
    scores: dict[str, FiniteFloat] = {}
    classes: list[FiniteFloat] = []
    classes_in: dict[str, list[FiniteFloat]] = {}

    def score_in(self, runtime: str) -> float:
        """The score in the engine of this name."""
        return self.scores.get(runtime, self.score)

    def probabilities_in(self, runtime: str) -> list[float]:
        """The probability of each class in the engine of this name; none in packages made before they were kept."""
        return self.classes_in.get(runtime, self.classes)


class RuntimeFigures(_Part):
    """What a version and its parent are worth on the same labelled images, in one runtime. AUROC and AUPRO lie between
    0 and 1; the counts are of images: evaluated ones of each kind, those that do not pass, verdicts that differ."""

    runtime: str
    image_auroc: float
    parent_image_auroc: float
    aupro_30: float | None
    parent_aupro_30: float | None
    defective: int
    defective_stopped: int
    parent_defective_stopped: int
    good: int
    good_stopped: int
    parent_good_stopped: int
    changed_verdicts: int


class QuantizationInfo(_Part):
    """How a version of lower precision was made, and the evaluation it was accepted by."""

    method: str
    calibration: SplitDigest | None
    evaluation: SplitDigest
    auroc_tolerance: float
    figures: list[RuntimeFigures]


class UpdateInfo(_Part):
    """How a version was made from its parent and further good images.

    `rows_kept` of the memory's `rows` are the parent's. No row of the parent's memory lies further than
    `farthest_parent_row` from this one, in the memory's distance. Of the held-out good images at or above the review
    limit, `added_above_review` are new ones. `evaluation` and `figures` are there where labelled images were given.
    """

    skipped: int
    rows: int
    rows_kept: int
    farthest_parent_row: float
    held_out_parent: int
    held_out_added: int
    added_above_review: int
    evaluation: SplitDigest | None = None
    figures: list[RuntimeFigures] = []


class Manifest(_Part):
    """The manifest of a package. `created` is set from SOURCE_DATE_EPOCH only: the same fit gives the same file.

    `precision` is what the package was evaluated at, and the only one it runs at. `parent` is the SHA-256 of the
    version that it was made from, `quantization` or `update` how.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str = Field(pattern=f"^{NAME_PATTERN}$")
    version: str = Field(pattern=f"^{VERSION_PATTERN}$")
    product: str
    algorithm: str
    parameters: dict[str, Parameter]
    backbone: BackboneInfo
    input: Geometry
    classes: list[DefectClass] = []
    calibration: CalibrationInfo | None = None
    limits: Limits
    limits_info: LimitsInfo
    data: DataInfo
    golden: list[GoldenFrame] = Field(min_length=1)
    golden_tolerance: float = Field(gt=0)
    software: str
    created: datetime | None = None
    precision: Precision = "fp32"
    parent: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    quantization: QuantizationInfo | None = None
    update: UpdateInfo | None = None
