"""Labelled images as a classifier sees them: prepared, varied, and as features of the frozen backbone."""

from collections.abc import Generator, Iterable, Sequence
from functools import cached_property
from itertools import count
from threading import local

import numpy as np
from numpy.typing import NDArray

from data.augment import Augmentation, Pipeline
from data.labelled import LabelledFile
from inspection.frames import Pixels
from models.class_training import Labelled
from models.fine_tuning import Picture
from models.fitting_runtime import FittingRuntime
from training.images import PreparedImages


class LabelledImages:
    """`files`, prepared by `images` in the same order, with their targets over `classes`."""

    def __init__(self, files: Sequence[LabelledFile], images: PreparedImages, classes: Sequence[str]) -> None:
        self.images = images
        self.targets = np.array([[name in file.labels for name in classes] for file in files], dtype=np.float32)
        self.targets = self.targets.reshape(len(files), len(classes))
        self._own = local()  # each thread's pipeline

    def __len__(self) -> int:
        return len(self.targets)

    @cached_property
    def kinds(self) -> NDArray[np.intp]:
        """Of each image `[n]`: 0 where it is good, else 1 and the number of its rarest class."""
        rarity = self.targets * (1 / np.maximum(self.targets.sum(axis=0), 1))
        return np.where(self.targets.any(axis=1), 1 + rarity.argmax(axis=1), 0)

    def plain(self, runtime: FittingRuntime) -> Generator[Labelled, None, None]:
        """Every image as it is, in order."""
        return self.some(runtime, range(len(self)))

    def some(self, runtime: FittingRuntime, which: Iterable[int]) -> Generator[Labelled, None, None]:
        """Images by number, as they are."""
        return runtime.each(lambda index: self._features(runtime, self.images.prepared(int(index)), int(index)), which)

    def varied(self, runtime: FittingRuntime, augmentation: Augmentation, seed: int) -> Generator[Labelled, None, None]:
        """Images as they might look the next time, without end. Example n is the same for the same `seed`."""

        def example(number: int) -> Labelled:
            index, pixels = self._example(augmentation, seed, number)
            return self._features(runtime, pixels, index)

        return runtime.each(example, count())

    def picture(self, augmentation: Augmentation, seed: int, number: int) -> Picture:
        """One of them, as pixels."""
        index, pixels = self._example(augmentation, seed, number)
        return Picture(pixels, self.targets[index])

    def _example(self, augmentation: Augmentation, seed: int, number: int) -> tuple[int, Pixels]:
        """An image's number and its varied pixels. Of the classes each is drawn in proportion to the square root of how
        many images it has."""
        random = np.random.default_rng([seed, number])
        index = int(random.choice(len(self), p=self._chances))
        if not hasattr(self._own, "pipeline"):
            self._own.pipeline = Pipeline(augmentation)
        return index, self._own.pipeline(self.images.prepared(index), int(random.integers(2**31)))

    @cached_property
    def _chances(self) -> NDArray[np.float64]:
        kinds = self.kinds
        counts = np.bincount(kinds)[kinds]
        each = counts**-0.5
        return np.asarray(each / each.sum(), dtype=np.float64)

    def _features(self, runtime: FittingRuntime, pixels: Pixels, index: int) -> Labelled:
        return Labelled(runtime.run(pixels[None])["features"][0], self.targets[index])
