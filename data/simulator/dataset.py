"""A labelled dataset of simulated units, in the folder layout of MVTec AD.

Layout: Bergmann et al., "MVTec AD: A Comprehensive Real-World Dataset for Unsupervised Anomaly Detection",
CVPR 2019.
"""

import shutil
import tempfile
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from data.simulator.feed import dataset_seed
from data.simulator.products import check_seed, product_named, render
from data.simulator.unit import BadCount, DatasetExists


def write_dataset(
    folder: Path,
    product: str,
    *,
    good: int,
    test_good: int,
    per_defect: int,
    seed: int,
) -> None:
    """Write PNGs under folder/<product>: train/good, test/good, test/<defect> and ground_truth/<defect>.

    good: units to fit on; test_good: good units to test on; per_defect: test units of each defect, whose
    masks are 0 or 255.
    Every unit has a seed of its own. The folder appears complete or not at all.
    Raises UnknownProduct, BadCount, BadSeed; DatasetExists where folder/<product> already holds something.
    """
    kinds = product_named(product).defect_names
    check_seed(seed)
    for name, number in (("good", good), ("test_good", test_good), ("per_defect", per_defect)):
        if number < 0:
            msg = f"{name} is {number}; it must be 0 or more."
            raise BadCount(msg)
    target = folder / product
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        msg = f"{target} already holds something; choose another folder, or remove it first."
        raise DatasetExists(msg)
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{product}-", dir=folder))
    try:
        seeds = (dataset_seed(seed, index) for index in count())
        for part, number in (("train/good", good), ("test/good", test_good)):
            (draft / part).mkdir(parents=True)
            for index in range(number):
                _write_png(draft / part / f"{index:03d}.png", render(product, next(seeds)).frame)
        for kind in kinds:
            images, masks = draft / "test" / kind, draft / "ground_truth" / kind
            images.mkdir(parents=True)
            masks.mkdir(parents=True)
            for index in range(per_defect):
                unit = render(product, next(seeds), kind)
                _write_png(images / f"{index:03d}.png", unit.frame)
                _write_png(masks / f"{index:03d}_mask.png", unit.mask.astype(np.uint8) * np.uint8(255))
        draft.chmod(0o755)
        draft.replace(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """image: HWC uint8 RGB, or HW uint8."""
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    path.write_bytes(cv2.imencode(".png", stored)[1].tobytes())
