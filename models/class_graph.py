"""The classifier's graph: the backbone's maps become one map for each defect class, those become probabilities, a score
and a heatmap. Zhou et al., *Learning Deep Features for Discriminative Localization* (2016), but the maps are pooled by
a log-mean-exp of learnt sharpness (Pinheiro and Collobert, 2015), between the mean that a stain needs and the maximum
that a crack needs, at stride 16. So a class's map is what its logit is made of: no gradient is needed to draw it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from inspection.preprocess import Geometry
from inspection.score_area import inside_cells
from models.graph import BACKBONE_OUTPUTS, channels_of, finish, join, maps_graph, with_outputs
from models.onnx_text import parse

Labels = Literal["single", "multi"]
Floats = NDArray[np.float32]

_FEATURES = """
features (float[N, {fine}, h, w] s8, float[N, {coarse}, {half_rows}, {half_columns}] s16)
    => (float[N, {channels}, {half_rows}, {half_columns}] features) {{
    mean = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (s8)
    most = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (s8)
    features = Concat <axis = 1> (mean, most, s16)
}}
"""

# An engine's Relu or maximum may make a number of what is none. This is 0 where every feature is finite, else none.
_SOUND = """
sound (float[N, {channels}, {half_rows}, {half_columns}] features) => (float[N] nothing)
<float zero = {{0.0}}, int64[3] all = {{1, 2, 3}}> {{
    nought = Mul (features, zero)
    nothing = ReduceSum <keepdims = 0> (nought, all)
}}
"""

_MAPS = """
classes (float[N, {channels}, {half_rows}, {half_columns}] features)
    => (float[N, {classes}, {half_rows}, {half_columns}] maps, float[N, {classes}] logits)
<int64[2] places = {{2, 3}}> {{
    narrow = Conv <kernel_shape = [1, 1]> (features, first_weight, first_bias)
    first = Relu (narrow)
    near = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (first, near_weight, near_bias)
    second = Relu (near)
    maps = Conv <kernel_shape = [1, 1]> (second, last_weight, last_bias)
    sharp = Mul (maps, sharpness)
    highest = ReduceMax (sharp, places)
    below = Sub (sharp, highest)
    powers = Exp (below)
    share = ReduceMean (powers, places)
    log = Log (share)
    soft = Add (highest, log)
    pooled = Div (soft, sharpness)
    logits = Squeeze (pooled, places)
}}
"""

_SINGLE = """
    padded = Pad (logits, pads)
    logs = LogSoftmax <axis = 1> (padded)
    good, defects = Split <axis = 1> (logs, sizes)
    none = Squeeze (good, across)
    said = Neg (none)
    class_probabilities = Exp (defects)
"""
_SPLIT = "int64[4] pads = {{0, 1, 0, 0}}, int64[2] sizes = {{1, {classes}}},"
_MULTI = """
    class_probabilities = Sigmoid (logits)
    each_none = Softplus (logits)
    said = ReduceSum <keepdims = 0> (each_none, across)
"""
_FINDING = """
finding (float[N, {classes}, {half_rows}, {half_columns}] maps, float[N, {classes}] logits, float[N] nothing)
    => (float[N] score, float[N, {rows}, {columns}] heatmap, float[N, {classes}] class_probabilities)
<{constants} int64[1] across = {{1}},
 int64[2] both = {{1, 2}}, int64[3] cube = {{-1, 1, 1}}, int64[4] each = {{-1, {classes}, 1, 1}}, float least =
 {{1e-6}}, float[4] scales = {{1.0, 1.0, 2.0, 2.0}}, int64[1] depth = {{1}}> {{
    {probabilities}
    shares = Softmax <axis = 1> (logits)
    weights = Reshape (shares, each)
    weighted = Mul (maps, weights)
    sum = ReduceSum (weighted, across)
    large = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (sum, , scales)
    together = Squeeze (large, depth)
    usual = ReduceMean (together, both)
    above = Sub (together, usual)
    positive = Relu (above)
    evidence = Mul (positive, inside)
    most = ReduceMax (evidence, both)
    divisor = Max (most, least)
    score = Add (said, nothing)
    unit = Reshape (score, cube)
    factor = Div (unit, divisor)
    heatmap = Mul (evidence, factor)
}}
"""


@dataclass(frozen=True)
class ClassWeights:
    """Weights of the classes' maps, `[O, I, k, k]` and `[O]`, in the order they are used; `sharpness` is `[K]`."""

    first_weight: Floats
    first_bias: Floats
    near_weight: Floats
    near_bias: Floats
    last_weight: Floats
    last_bias: Floats
    sharpness: Floats

    def cooled(self, temperature: float) -> "ClassWeights":
        """The weights whose logits are these ones' divided by `temperature` (Guo et al., 2017)."""
        changed = {
            "last_weight": self.last_weight / np.float32(temperature),
            "last_bias": self.last_bias / np.float32(temperature),
            "sharpness": self.sharpness * np.float32(temperature),
        }
        return ClassWeights(**{**vars(self), **changed})


def class_features_graph(backbone: onnx.ModelProto, channels: tuple[int, int], geometry: Geometry) -> onnx.ModelProto:
    """One output, `features` float32 `[N, F + F + C, h, w]` at stride 16: of each 2 x 2 cells of the backbone's map at
    stride 8 the mean, and the maximum, in which a small defect is not lost, and its map at stride 16. `backbone` and
    `channels` as for `maps_graph`."""
    fine, coarse = channels
    neck = parse(_FEATURES.format(fine=fine, coarse=coarse, **_sizes(2 * fine + coarse, geometry)))
    model = join(maps_graph(backbone, channels, geometry), neck, BACKBONE_OUTPUTS, "neck/")
    return finish(with_outputs(model, ["neck/features"]), {"neck/features": "features"})


def classes_graph(
    features: onnx.ModelProto, geometry: Geometry, weights: ClassWeights, labels: Labels
) -> onnx.ModelProto:
    """`class_features_graph` with outputs `score` float32 `[N]`, `heatmap` float32 `[N, rows, columns]` and
    `class_probabilities` float32 `[N, K]`.

    With `single` labels a unit is good or has one of K defects: the probabilities of both add up to 1. With `multi`
    each defect is there or not. The score is the negative logarithm of the probability that a unit is good, in nats:
    0.69 is as likely defective as good. The heatmap shows where the evidence for the likeliest classes lies above that
    of the whole frame, scaled so that its maximum is the score; it is zero outside the region of interest.
    """
    sizes = _sizes(channels_of(features, "features"), geometry) | {"classes": len(weights.sharpness)}
    arrays = {**vars(weights), "sharpness": weights.sharpness.reshape(1, -1, 1, 1)}
    model = join(features, parse(_MAPS.format(**sizes), **arrays), ["features"], "classes/")
    probabilities = {"single": _SINGLE, "multi": _MULTI}[labels].format(**sizes)
    inside = inside_cells(geometry).astype(np.float32)
    constants = {"single": _SPLIT, "multi": ""}[labels].format(**sizes)
    finding = parse(_FINDING.format(probabilities=probabilities, constants=constants, **sizes), inside=inside)
    model = join(model, parse(_SOUND.format(**sizes)), ["features"], "sound/")
    model = join(model, finding, ["classes/maps", "classes/logits", "sound/nothing"], "finding/")
    names = {f"finding/{name}": name for name in ("score", "heatmap", "class_probabilities")}
    return finish(with_outputs(model, names), names)


def _sizes(channels: int, geometry: Geometry) -> dict[str, int]:
    rows, columns = geometry.cells
    return {
        "channels": channels,
        "rows": rows,
        "columns": columns,
        "half_rows": rows // 2,
        "half_columns": columns // 2,
    }
