"""The kinds of detector that `inspection train anomaly --algorithm` knows."""

from models.patchcore import PatchCore
from models.patchcore_head import PatchCoreHead

ALGORITHMS: dict[str, type[PatchCore]] = {"patchcore": PatchCore, "patchcore-head": PatchCoreHead}
