"""The command as a person meets it."""

import ast
import re
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from inspection.errors import InspectionError

Run = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[2]


def test_help_lists_every_command_and_is_quick(inspection: Run) -> None:
    inspection("--help")
    start = time.perf_counter()
    done = inspection("--help")
    took = time.perf_counter() - start
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import numpy"], check=True)
    numpy = time.perf_counter() - start

    names = {entry.name for entry in entry_points(group="inspection.commands")}
    assert names == {
        "archive",
        "challenge",
        "compare",
        "shadow",
        "train",
        "batch",
        "check-labels",
        "export-reviewed",
        "export-selection",
        "review",
        "evaluate",
        "quantize",
        "update",
        "predict",
        "serve",
        "reinspect",
        "verify",
        "heads",
        "user",
        "token",
        "policy",
        "audit",
        "sign",
        "registry",
        "retention",
        "backup",
        "restore",
        "export-batch",
        "doctor",
        "quality",
        "simulate",
        "demo",
    }
    assert all(re.search(rf"^  {name} ", done.stdout, re.MULTILINE) for name in names)
    assert took < 5 * numpy + 1, "the help imports something heavy"


@pytest.mark.parametrize("command", sorted(entry.name for entry in entry_points(group="inspection.commands")))
def test_every_command_explains_itself(command: str, inspection: Run) -> None:
    done = inspection(command, "--help")

    assert done.returncode == 0
    assert "Usage:" in done.stdout


@pytest.mark.parametrize(
    "module", ["inspection.cli", "inspection.reinspect", "serve.app", "training.fit", "data.simulator"]
)
def test_nothing_but_training_classifiers_needs_torch(module: str) -> None:
    code = f"""
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):  # None in sys.modules is not how a machine without torch looks to scipy
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "timm"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import {module}
assert not {{"anomalib", "torch"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_core_imports_no_web_framework() -> None:
    code = (
        "import sys; sys.modules['fastapi'] = None; sys.modules['starlette'] = None; sys.modules['uvicorn'] = None; "
        "import inspection.reinspect, inspection.station, inspection.verify, inspection.commands.reinspect"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_command_is_a_usage_error(inspection: Run) -> None:
    done = inspection("inspect")

    assert done.returncode == 2
    assert "No such command" in done.stderr


def test_error_codes_are_unique_and_every_error_has_one() -> None:
    def subclasses(kind: type) -> list[type]:
        return [kind, *(deeper for direct in kind.__subclasses__() for deeper in subclasses(direct))]

    for module in (
        "data.masks",
        "data.simulator",
        "inspection.reinspect",
        "serve.server",
        "training.fit",
        "training.new_precision",
        "training.quantize",
        "training.update",
    ):
        import_module(module)

    kinds = subclasses(InspectionError)
    codes = [kind.code for kind in kinds if "code" in vars(kind)]  # type: ignore[attr-defined]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z][a-z_]+", code) for code in codes)


def test_no_file_is_long_or_vaguely_named() -> None:
    sources = [
        path
        for room in ("inspection", "models", "data", "training", "serve", "tests")
        for path in (ROOT / room).rglob("*.py")
    ]

    assert len(sources) > 50
    assert [str(path) for path in sources if len(path.read_text().splitlines()) > 400] == []
    assert [
        str(path) for path in sources if path.stem in ("utils", "util", "helpers", "common", "misc", "manager")
    ] == []


def test_every_public_function_and_class_says_what_it_is() -> None:
    silent = []
    for room in ("inspection", "models", "data", "training", "serve"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
                public = isinstance(node, kinds) and not node.name.startswith("_")
                if public and not ast.get_docstring(node) and "migrations" not in path.parts:
                    silent.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert silent == []
