"""A PatchCore whose every choice can be changed, for `ablation.py`: the product's preprocessing, backbone, coreset and
AUROC, with the steps between them in torch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from data.splits import make_split
from inspection.frames import Pixels, read_frame
from inspection.preprocess import CELL, Geometry, prepare
from inspection.score_area import AREA
from models.backbones import load_backbone
from models.coreset import k_centre_greedy
from models.fitting_runtime import load_for_fitting
from models.graph import BACKBONE_OUTPUTS, features_graph
from models.reservoir import Reservoir
from training.fit import spread
from training.images import TrainingImages
from training.metrics import auroc
from training.options import FitOptions

Maps = dict[str, Tensor]
_MOST_IMAGES = 200
_MEMORY_MB = 768
_EPSILON = 1e-3
_FOLDS = 5


@dataclass(frozen=True)
class Choice:
    """One way to build the memory, by default the product's. `neighbours` are the sides of the squares of cells that
    the finer and the coarser map are averaged over, `position` the weight of a cell's place beside its features,
    `turns` how many turned copies of each image are learnt, `nearest` the neighbours of equation 7's weight (0: no
    weight), `side` that of the square in pixels of model input with the area whose mean is the score (0: the farthest
    cell alone), `smooth` the side of the square of cells that the heatmap is averaged over."""

    size: int = FitOptions.size
    region: str = FitOptions.region
    stride: int = FitOptions.stride
    maps: tuple[str, ...] = BACKBONE_OUTPUTS
    neighbours: tuple[int, int] = (1, 1)
    whiten: bool = False
    standardise: bool = False
    position: float = 0.0
    turns: int = 0
    bank: int = FitOptions.bank
    nearest: int = 0
    side: int = round(CELL * AREA**0.5)
    smooth: int = 1


BASELINE = Choice()
AVERAGES = replace(BASELINE, neighbours=(3, 3))
VARIANTS = {
    "baseline": BASELINE,
    "averages of 3 x 3": AVERAGES,
    "averages of 3 x 3, farthest cell (the paper's)": replace(AVERAGES, side=0),
    "averages of 3 x 3, farthest cell, search at stride 8": replace(AVERAGES, side=0, stride=8),
    "farthest cell": replace(BASELINE, side=0),
    "farthest cell, heatmap averaged 3 x 3": replace(BASELINE, side=0, smooth=3),
    "farthest cell, equation 7, 9 neighbours": replace(BASELINE, nearest=9),
    "farthest cell, search at stride 8": replace(BASELINE, side=0, stride=8),
    "mean of 64 x 64 px": replace(BASELINE, side=64),
    "search at stride 8": replace(BASELINE, stride=8),
    "search at stride 8, 500 rows": replace(BASELINE, stride=8, bank=500),
    "stride 8 features alone": replace(BASELINE, maps=("s8",)),
    "stride 16 features alone": replace(BASELINE, maps=("s16",)),
    "standardised channels": replace(BASELINE, standardise=True),
    "whitened": replace(BASELINE, whiten=True),
    "place, weight 0.5": replace(BASELINE, position=0.5),
    "place, weight 2": replace(BASELINE, position=2.0),
    "500 rows": replace(BASELINE, bank=500),
    "8,000 rows": replace(BASELINE, bank=8000),
    "4 turned copies": replace(BASELINE, turns=4),
    "256 px": replace(BASELINE, size=256),
    "320 px": replace(BASELINE, size=320),
    "448 px": replace(BASELINE, size=448),
    "whole frame": replace(BASELINE, region="full"),
}


def worth(layout: str, root: Path, category: str, backbone: str, choice: Choice) -> tuple[float, float]:
    """What a memory of at most 200 good images built as `choice` says is worth: its image AUROC, and the share of
    defective images that score above 98 % of the good ones.

    The good ones are the category's test images and the 200, each scored by a memory without its fifth: a category's
    own good test images are too few (capsule has 15) to tell two choices apart.
    """
    good, test, defective = _maps(layout, root, category, backbone, choice.size, choice.region, choice.turns)
    turned = 1 + choice.turns  # an image's turned copies follow it, and belong to its fold
    memory = Memory((rows_of(maps, choice) for maps in good), choice)
    scores = [memory.score(rows_of(maps, choice)) for maps in test]
    for fold in range(_FOLDS):
        known = (maps for index, maps in enumerate(good) if index // turned % _FOLDS != fold)
        memory = Memory((rows_of(maps, choice) for maps in known), choice)
        scores += [memory.score(rows_of(maps, choice)) for maps in good[::turned][fold::_FOLDS]]
    values, bad = np.array(scores), np.append(defective, np.zeros(len(scores) - len(defective), dtype=bool))
    found = auroc(values, bad)
    assert found is not None
    return found, float((values[bad] > np.quantile(values[~bad], 0.98)).mean())


@lru_cache(maxsize=1)
def _maps(
    layout: str, root: Path, category: str, backbone: str, size: int, region: str, turns: int
) -> tuple[list[Maps], list[Maps], NDArray[np.bool_]]:
    """The backbone's maps of the good and of the test images, and which of the latter are defective."""
    split = make_split(layout, root, category)
    files = spread(split.train, 0)[:_MOST_IMAGES]
    images = TrainingImages(files, root, FitOptions(backbone=backbone, size=size, region=region))
    extract = _extractor(backbone, images.geometry)
    good = [extract(frame) for index in range(len(images)) for frame in turns_of(images.prepared(index), turns)]
    test = [extract(prepare(read_frame(root / file.path).pixels, images.geometry)) for file in split.test]
    return good, test, np.array([file.defect is not None for file in split.test])


def rows_of(maps: Maps, choice: Choice) -> Tensor:
    """One image's patches `[rows, columns, K]` from its maps `[1, C, h, w]`."""
    parts = []
    for name in choice.maps:
        side = choice.neighbours[BACKBONE_OUTPUTS.index(name)]
        part = functional.avg_pool2d(maps[name], side, 1, side // 2, count_include_pad=False)
        if name == "s8" and choice.stride == 16:
            part = functional.avg_pool2d(part, 2)
        if name == "s16" and choice.stride == 8:
            part = functional.interpolate(part, scale_factor=2.0, mode="bilinear")
        parts.append(part)
    return torch.cat(parts, 1)[0].permute(1, 2, 0)


class Memory:
    """The coreset of good rows, and the score of an image's rows."""

    def __init__(self, images: Iterator[Tensor], choice: Choice) -> None:
        self._choice = choice
        first = _placed(next(images))
        channels = first.shape[1]
        kept = Reservoir(_MEMORY_MB * 2**20 // (4 * channels), channels, 0)
        for placed in chain([first], map(_placed, images)):
            kept.add(placed)
        rows = torch.from_numpy(kept.rows)
        self._project = projection(rows[:, :-2], choice)
        self._place = choice.position * float(rows[:, :-2].std(0).norm())
        bank = k_centre_greedy([self._described(rows).numpy()], choice.bank, 0)
        self._bank = torch.from_numpy(bank)

    def _described(self, placed: Tensor) -> Tensor:
        """Rows `[P, K]` as they are compared, from features and places `[P, C + 2]`."""
        features = self._project(placed[:, :-2])
        return torch.cat([features, placed[:, -2:] * self._place], 1).contiguous() if self._place else features

    def score(self, rows: Tensor) -> float:
        """The image's score from its patches `[rows, columns, K]`."""
        described = self._described(torch.from_numpy(_placed(rows)))
        distance, nearest = torch.cdist(described, self._bank).min(1)
        if self._choice.nearest:
            return self._weighted(described, distance, nearest)
        heatmap = distance.view(1, 1, *rows.shape[:2])
        side = self._choice.smooth
        heatmap = functional.avg_pool2d(heatmap, side, 1, side // 2, count_include_pad=False)
        cells = max(1, (self._choice.side // self._choice.stride) ** 2)
        return float(heatmap.flatten().topk(cells).values.mean())

    def _weighted(self, rows: Tensor, distance: Tensor, nearest: Tensor) -> float:
        """Equation 7 of the paper: the largest distance counts more where its nearest row is far from its own
        neighbours."""
        worst = int(distance.argmax())
        around = (
            torch.cdist(self._bank[nearest[worst]][None], self._bank)[0]
            .topk(self._choice.nearest, largest=False)
            .indices
        )
        to_neighbours = torch.cdist(rows[worst][None], self._bank[around])[0]
        weight = 1 - torch.softmax(to_neighbours, 0)[0]
        return float(weight * distance[worst])


def projection(rows: Tensor, choice: Choice) -> Callable[[Tensor], Tensor]:
    """Whitening or standardising learnt from rows `[P, C]`; neither changes nothing."""
    if not (choice.whiten or choice.standardise):
        return lambda values: values.contiguous()
    mean = rows.mean(0)
    if choice.standardise:
        spread_of = rows.std(0) + _EPSILON
        return lambda values: (values - mean) / spread_of
    values, vectors = torch.linalg.eigh(torch.cov(rows.T))
    whitening = vectors / torch.sqrt(values.clamp(min=0) + _EPSILON * values.max())
    return lambda values: (values - mean) @ whitening


def _placed(rows: Tensor) -> NDArray[np.float32]:
    """Patches `[rows, columns, C]` as `[P, C + 2]`: each with its place in the image, from 0 to 1."""
    y, x = torch.meshgrid(*(torch.linspace(0, 1, side) for side in rows.shape[:2]), indexing="ij")
    return np.asarray(torch.cat([rows, y[..., None], x[..., None]], 2).flatten(0, 1).numpy())


def turns_of(pixels: Pixels, count: int) -> Iterator[Pixels]:
    """An image, and `count` copies of it turned about its centre by equal steps."""
    yield pixels
    for turn in range(1, count + 1):
        yield turned(pixels, 360 * turn / (count + 1))


def turned(pixels: Pixels, degrees: float) -> Pixels:
    """`[H, W, 3]` turned about its centre, its border repeated."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


def _extractor(backbone: str, geometry: Geometry) -> Callable[[Pixels], Maps]:
    source = load_backbone(backbone)
    runtime = load_for_fitting(features_graph(source.model, source.channels, geometry, 16))

    def extract(frame: Pixels) -> Maps:
        outputs = runtime.run(frame[None])
        return {name: torch.from_numpy(outputs[name]) for name in BACKBONE_OUTPUTS}

    return extract
