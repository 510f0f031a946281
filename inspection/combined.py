"""A recipe's two packages as one detector: what either finds stops the unit."""

from pathlib import Path

from inspection.detector import Detector, available_cores
from inspection.errors import InspectionError
from inspection.finding import Finding, OutputReader
from inspection.joined_graph import join_graphs
from inspection.one_frame import OneFrame
from inspection.package import Package, read_package
from inspection.runtime_choice import proved_runtime


class NotAClassifier(InspectionError):
    """A package that is to name defects knows no classes."""

    code = "not_a_classifier"


class PackagesDiffer(InspectionError):
    """Two packages cannot look at the same frame."""

    code = "packages_differ"


class CombinedDetector(Detector):
    """`package` with a second one, the `classifier`, in every frame. A finding's `also` is the classifier's, so that
    its verdict is that of both.

    Where both see the same model input at the same precision, one pass runs what their graphs have in common once, in
    one runtime; either way both packages' golden frames are proved in what serves them.
    """

    def __init__(
        self,
        package: Package,
        classifier: Package,
        runtime: str = "onnxruntime",
        threads: int | None = None,
        parallel: int = 1,
    ) -> None:
        if not classifier.manifest.classes:
            raise NotAClassifier(
                f"{classifier.source} knows no defect classes; name a package made by `inspection train classifier`"
            )
        one, two = package.manifest, classifier.manifest
        if one.input.colour != two.input.colour:
            raise PackagesDiffer(
                f"{package.source} wants {one.input.colour} frames and {classifier.source} {two.input.colour} ones; no "
                "camera gives both: train one of them anew"
            )
        alike = (one.input, one.precision) == (two.input, two.precision)
        model = join_graphs([package.model, classifier.model]) if alike else None
        self._second: Detector | None = None
        if model:
            OutputReader.__init__(self, package, "0/")
            self.classifier = OutputReader(classifier, "1/")
            readers = [self, self.classifier]
            self._runtime = proved_runtime(model, readers, runtime, threads or available_cores(), parallel)
        else:
            super().__init__(package, runtime, threads, parallel)
            self.classifier = self._second = Detector(classifier, runtime, threads, parallel)

    @property
    def one_pass(self) -> bool:
        """Whether one graph gives both findings."""
        return self._second is None

    def find_in(self, frame: OneFrame) -> Finding:
        """As `Detector`'s, with what the classifier finds beside it."""
        assert self.classifier
        outputs = frame.outputs(self._runtime, self.manifest.input)
        finding = self.finding(outputs)
        other = self._second.find_in(frame) if self._second else self.classifier.finding(outputs)
        return Finding(finding.score, finding.heatmap, finding.classes, ((other, self.classifier.manifest.limits),))


def load_detector(
    package: Path, classifier: Path | None, runtime: str, threads: int | None = None, parallel: int = 1
) -> Detector:
    """The detector of a package's file and, where there is one, of a classifier's beside it. Raises NotAClassifier,
    PackagesDiffer, and what reading and loading a package raises."""
    return detector_of(
        read_package(package), read_package(classifier) if classifier else None, runtime, threads, parallel
    )


def detector_of(
    package: Package, classifier: Package | None, runtime: str, threads: int | None = None, parallel: int = 1
) -> Detector:
    """The same of packages that were read."""
    if classifier is None:
        return Detector(package, runtime, threads, parallel)
    return CombinedDetector(package, classifier, runtime, threads, parallel)
