"""One frame before several detectors: what two of them need alike is computed once."""

from inspection.frames import Pixels
from inspection.preprocess import Geometry, prepare
from inspection.runtime import Outputs, Runtime


class OneFrame:
    """A frame `[H, W, 3]` uint8 RGB, with its model inputs by geometry and what graphs said of it, kept for as long as
    the frame is looked at. For one thread."""

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels
        self._prepared: dict[Geometry, Pixels] = {}
        self._outputs: dict[tuple[int, Geometry], Outputs] = {}

    def prepared(self, geometry: Geometry) -> Pixels:
        """The model input. Raises FrameWrongGeometry."""
        if geometry not in self._prepared:
            self._prepared[geometry] = prepare(self.pixels, geometry)
        return self._prepared[geometry]

    def outputs(self, runtime: Runtime, geometry: Geometry) -> Outputs:
        """What a graph says of the frame. Raises FrameWrongGeometry or RuntimeFault."""
        key = id(runtime), geometry
        if key not in self._outputs:
            self._outputs[key] = runtime.run(self.prepared(geometry)[None])
        return self._outputs[key]
