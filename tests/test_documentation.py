"""The pages say what is true: their commands and examples are run, in order, as one user's story."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import click
import httpx
import pytest

from inspection.archive import Archive
from inspection.challenge.kit import read_kit
from inspection.config import read_config
from inspection.importing.mapping import Mapping
from tests.people import PASSWORD, people
from tests.serve.serving import machine

pytestmark = pytest.mark.timeout(1500)  # the training page trains with the defaults: minutes
ROOT = Path(__file__).parent.parent
PAGES = sorted(path for path in ROOT.rglob("*.md") if not {".venv", ".pytest_cache"} & set(path.parts))

TRAINING = [
    ("train", "anomaly"), ("train", "classifier"), ("evaluate",), ("simulate",), ("quantize",), ("update",),
    ("review",), ("export-reviewed",), ("check-labels",),
]  # fmt: skip


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language in a page."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def run(script: str, folder: Path) -> str:
    """Run shell lines in `folder` with the `inspection` of this environment; returns what they printed."""
    lines = (
        script.replace("inspection ", f"{sys.executable} -m inspection ", 1)
        if script.startswith("inspection ")
        else script
    )
    lines = re.sub(r"^inspection ", f"{sys.executable} -m inspection ", lines, flags=re.MULTILINE)
    done = subprocess.run(["bash", "-ec", lines], cwd=folder, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after the training page's commands and a short run of the serving page's recipe."""
    folder = tmp_path_factory.mktemp("story")
    # Fewer batches than a person would take: what is shown is that the commands run and fit together.
    run(blocks("training/README.md", "sh")[0].replace("--out tablet.onnx", "--head-steps 60 --out tablet.onnx"), folder)
    (folder / "recipe.yaml").write_text(blocks("serve/README.md", "yaml")[0])
    frames = folder / "frames"
    frames.mkdir()
    for kind in ("good", "chip", "broken_edge"):
        shutil.copy(folder / "images" / "tablet" / "test" / kind / "000.png", frames / f"{kind}.png")
    serve(blocks("serve/README.md", "sh")[0], folder)
    return folder


def serve(script: str, folder: Path) -> None:
    """Run the page's serve command on a free port until three units are on record, then stop it as Ctrl-C does."""
    words = script.split()
    assert words[0] == "inspection"
    command = [sys.executable, "-m", *words[:-1], "0"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address is not None
        until = time.monotonic() + 60
        headers = machine(folder / words[words.index("--archive") + 1])
        while httpx.get(address.group() + "api/status", headers=headers).json()["tally"]["units"] < 3:
            assert time.monotonic() < until, "no units were inspected"
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_the_training_page_ends_with_figures_and_plots(story: Path) -> None:
    assert (story / "tablet.split.json").is_file()
    assert {path.name for path in (story / "tablet-plots").iterdir()} == {"scores.png", "roc.png", "errors.png"}


def test_a_classifier_beside_the_detector_from_training_to_a_reviewed_dataset(story: Path) -> None:
    """By the page's commands, with fewer steps: then a line runs both, a person reviews, the reviews are a dataset."""
    run(blocks("training/README.md", "sh")[1].replace("--out", "--steps 40 --out"), story)
    assert {path.name for path in (story / "classes-plots").iterdir()} >= {"confusion.png", "reliability.png"}

    recipe = (story / "recipe.yaml").read_text().replace("# classifier:", "classifier:")
    (story / "both.yaml").write_text(recipe)
    serve("inspection serve both.yaml --archive both --unapproved --port 8000", story)
    with Archive(story / "both", read_only=True) as archive:
        unit = archive.latest(1, kind="unit")[0]
    known = json.loads((story / "classes.json").read_text())["classes"]["per_class"]
    assert set(unit.details["classifier"]["classes"]) == set(known)

    people(story / "both", ada="reviewer")
    said = "inspection review {} --archive both --label chip --as ada"
    run(f"export INSPECTION_PASSWORD='{PASSWORD}'\n" + said.format(unit.name), story)
    said = run("inspection export-reviewed --archive both --out labelled", story)
    assert "chip" in said
    assert len((story / "labelled" / "labels.csv").read_text().splitlines()) == 2


def test_the_review_page_s_commands_run_on_what_the_line_recorded(story: Path) -> None:
    said = run(blocks("inspection/README.md", "sh")[0], story)

    assert "archive intact" in said
    assert (story / "again" / "result.json").is_file()
    assert (story / "again" / "report.html").is_file()


def test_an_old_history_is_imported_and_inspected_again_by_the_page(story: Path) -> None:
    old = story / "old"
    old.mkdir()
    shutil.copy(story / "frames" / "good.png", old / "a.png")
    shutil.copy(story / "frames" / "chip.png", old / "b.png")
    (story / "decisions.csv").write_text(
        "image,id,taken,lot,verdict,label\na.png,1,2021-05-03 08:00,L1,io,good\nb.png,2,2021-05-03 08:01,L1,nio,chip\n"
    )
    command = blocks("inspection/README.md", "sh")[1]
    assert "2 units would be imported (1 PASS, 1 REJECT), 2 images, 2 reviews" in run(command, story)
    assert "imported 2 units" in run(command.replace(" --dry-run", ""), story)
    assert "archive intact" in run("inspection verify --archive history", story)
    assert "2 units" in run("inspection reinspect --archive history tablet.onnx --out again-history", story)
    mapping = story / "mapping.yaml"
    mapping.write_text(next(one for one in blocks("inspection/README.md", "yaml") if one.startswith("columns:")))
    assert "file" in read_config(mapping, Mapping).columns.image


def test_the_challenge_page_s_kit_is_one(story: Path) -> None:
    file = story / "frames" / "kit.yaml"
    file.write_text(next(one for one in blocks("serve/README.md", "yaml") if one.startswith("name: vial-kit")))
    shutil.copy(story / "frames" / "chip.png", story / "frames" / "crack.png")
    assert [unit.expected for unit in read_kit(file)[0].units] == ["PASS", "REJECT"]


def test_the_example_in_python_runs(story: Path) -> None:
    [code] = blocks("inspection/README.md", "python")
    done = subprocess.run([sys.executable, "-c", code], cwd=story, capture_output=True, text=True, check=True)

    assert "Outcome." in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_in_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_s_table_of_rules_names_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", (ROOT / "README.md").read_text())

    assert len(named) >= 5
    assert [name for name in named if not (ROOT / name).is_file()] == []


def options_of(command: click.Command) -> set[str]:
    """The options of a command and of all its sub-commands."""
    found = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    for part in getattr(command, "commands", {}).values():
        found |= options_of(part)
    return found


def test_every_option_in_the_pages_exists() -> None:
    commands = {entry.name: entry.load() for entry in entry_points(group="inspection.commands")}
    of = {
        "training/README.md": [words[0] for words in TRAINING],
        "inspection/README.md": [name for name in commands if name not in ("train", "quantize", "update")],
        "serve/README.md": list(commands),
    }
    for page, names in of.items():
        known = set().union(*(options_of(commands[name]) for name in names))
        text = re.sub(r"^ray .*$", "", (ROOT / page).read_text(), flags=re.M)  # another program's
        named = set(re.findall(r"(--[a-z][a-z-]+)", text))
        assert named - known == set(), page


def test_every_reason_code_is_explained() -> None:
    from inspection.verdict import Reason

    page = (ROOT / "inspection" / "README.md").read_text()

    assert [reason for reason in Reason if f"`{reason}`" not in page] == []
