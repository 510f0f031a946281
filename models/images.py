"""What an algorithm may ask of the good images that it is trained on."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inspection.frames import Pixels


class GoodImages(Protocol):
    """Good images in a fixed order, numbered from 0; number i belongs to fold i mod k."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def prepared(self, index: int) -> Pixels:
        """Model input `[height, width, 3]` uint8 of one."""
        ...

    def product(self, index: int) -> NDArray[np.bool_] | None:
        """Where the product is on it `[height, width]`; None where it cannot be told from the background."""
        ...
