"""The algorithms: backbone zoo, PatchCore memory and coreset, and the graphs they are served as."""

import inspection  # noqa: F401  before ONNX Runtime is imported: it keeps it from reporting to its maker
