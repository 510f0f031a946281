"""The engines that run a package's graph, in a plain registry; `inspection.runtime_choice` is `auto`."""

from inspection.runtimes.engine import Engine, Outputs, Precision, PrecisionUnsupported, Runtime, RuntimeFault
from inspection.runtimes.names import AUTO, NAMES
from inspection.runtimes.onnx_runtime import OnnxRuntime
from inspection.runtimes.open_vino import OpenVino

_ENGINES: tuple[Engine, ...] = (OnnxRuntime, OpenVino)
RUNTIMES: dict[str, Engine] = {engine.name: engine for engine in _ENGINES}


def able(precision: Precision) -> list[str]:
    """The names of the runtimes that compute `precision` on this machine, the reference first.

    Raises PrecisionUnsupported where none does.
    """
    names = [name for name, engine in RUNTIMES.items() if precision in engine.precisions()]
    if not names:
        raise PrecisionUnsupported(f"no runtime here computes {precision}; {_advice(precision)}")
    return names


def load_runtime(name: str, model: bytes, threads: int, precision: Precision = "fp32", parallel: int = 1) -> Runtime:
    """The graph in `model`, loaded into the engine `name` at `precision`, for `parallel` calls at once of `threads`
    cores each. Raises RuntimeFault and PrecisionUnsupported."""
    engine = RUNTIMES.get(name)
    if engine is None:
        raise RuntimeFault(f"there is no runtime {name!r}; choose one of {', '.join((AUTO, *NAMES))}")
    if not engine.precisions():
        raise RuntimeFault(f"runtime {name} is not installed here; install it, or choose another")
    if precision not in engine.precisions():
        raise PrecisionUnsupported(f"runtime {name} does not compute {precision} on this machine; {_advice(precision)}")
    return engine(model, precision, threads, parallel)


def _advice(precision: Precision) -> str:
    if precision == "bf16":
        return "serve the fp32 or int8 version, or use openvino on a CPU with bf16 instructions (AMX or AVX512_BF16)"
    return "serve another version of the package, or use another runtime"


__all__ = [
    "AUTO", "NAMES", "RUNTIMES", "Outputs", "Precision", "PrecisionUnsupported", "Runtime", "RuntimeFault", "able",
    "load_runtime",
]  # fmt: skip
