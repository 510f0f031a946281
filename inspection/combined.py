"""A recipe's two packages as one detector: what either finds stops the unit."""

from inspection.detector import Detector, Finding
from inspection.frames import Pixels
from inspection.joined_graph import join_graphs
from inspection.package import Package


class CombinedDetector(Detector):
    """`package` with a second one, the `classifier`, in every frame. A finding's `also` is the classifier's, so that
    its verdict is that of both.

    Where both see the same model input at the same precision, one pass runs what their graphs have in common once, in
    one runtime; either way both packages' golden frames are proved in what serves them.
    """

    def __init__(
        self, package: Package, classifier: Package, runtime: str = "onnxruntime", threads: int | None = None
    ) -> None:
        one, two = package.manifest, classifier.manifest
        alike = (one.input, one.precision) == (two.input, two.precision)
        model = join_graphs([package.model, classifier.model]) if alike else None
        super().__init__(package, runtime, threads, model=model, prefix="0/" if model else "")
        if model:
            self.classifier = Detector(classifier, prefix="1/", beside=self)
        else:
            self.classifier = Detector(classifier, runtime, threads)
        self.one_pass = model is not None

    def find(self, pixels: Pixels) -> Finding:
        """As `Detector`'s, with what the classifier finds beside it."""
        outputs = self.run(pixels)
        finding = self.finding(outputs)
        other = self.classifier.finding(outputs if self.one_pass else self.classifier.run(pixels))
        return Finding(finding.score, finding.heatmap, finding.classes, ((other, self.classifier.manifest.limits),))
