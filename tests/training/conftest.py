"""Running the commands in this process: quicker than a new one, and an error that is not ours still fails the test."""

from collections.abc import Callable
from pathlib import Path

import pytest

from inspection.cli import main

Say = Callable[..., str]
QUICK = ("--algorithm", "patchcore", "--size", 96, "--bank", 40, "--folds", 2, "--quiet")


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Say:
    """Runs a command that must succeed; returns what it printed on standard output."""

    def run(*words: object) -> str:
        capfd.readouterr()
        main([str(word) for word in words])
        return capfd.readouterr().out

    return run


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Say:
    """Runs a command that must fail with one sentence on standard error; returns the sentence."""

    def run(*words: object) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        output = capfd.readouterr()
        assert ended.value.code == 1
        (sentence,) = output.err.splitlines()
        assert sentence.startswith("inspection: ")
        return sentence

    return run


def files_in(folder: Path) -> list[Path]:
    """Every file under a folder, hidden and unfinished ones too."""
    return [path for path in folder.rglob("*") if path.is_file()]
