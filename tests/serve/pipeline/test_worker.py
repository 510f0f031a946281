"""A worker's life: started, killed, hung, restarted with pauses, given up, stopped."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve.pipeline.worker import Backoff, Worker, WorkerFailed
from tests.serve.pipeline.workers import echo, silent
from tests.serve.serving import wait_for


class Watched:
    """A worker with all that it said."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.messages: list[Any] = []
        self.pids: list[int] = []
        self.downs: list[str] = []
        self.given_up: list[str] = []
        self.overdue = threading.Event()
        self.worker = Worker(
            "echo", echo, (folder,), message=self.messages.append, up=self.pids.append, down=self.downs.append,
            gave_up=self.given_up.append, hung=self.overdue.is_set, **options,
        )  # fmt: skip


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    own = Watched(tmp_path)
    own.worker.start()
    yield own
    own.worker.stop()


def test_killed_it_is_started_again_and_works(watched: Watched) -> None:
    frame = np.arange(600 * 400 * 3, dtype=np.uint8)
    assert watched.worker.send(frame)
    wait_for(lambda: len(watched.messages) == 1)
    assert np.array_equal(watched.messages[0], frame)
    os.kill(watched.pids[0], signal.SIGKILL)
    wait_for(lambda: len(watched.pids) == 2)
    assert watched.downs == ["echo died (signal 9)"]
    assert watched.worker.restarts == 1
    assert watched.worker.send("again")
    wait_for(lambda: len(watched.messages) == 2)


def test_killed_with_the_process_that_it_was_forked_from_it_is_started_again(watched: Watched) -> None:
    forked_from = _parent(watched.pids[0])
    assert forked_from != os.getpid()
    os.kill(forked_from, signal.SIGKILL)
    os.kill(watched.pids[0], signal.SIGKILL)
    wait_for(lambda: len(watched.pids) == 2)
    assert watched.worker.send("again")
    wait_for(lambda: watched.messages == ["again"])
    assert _parent(watched.pids[1]) not in (forked_from, os.getpid())


def test_that_outlived_what_it_was_forked_from_is_killed_all_the_same(watched: Watched, tmp_path: Path) -> None:
    hangs = watched.pids[0]
    forked_from = _parent(hangs)
    watched.worker.send("hang")
    os.kill(forked_from, signal.SIGKILL)
    wait_for(lambda: not _alive(forked_from))
    other = Watched(tmp_path)  # whose start finds the one it was forked from gone
    other.worker.start()
    try:
        assert _alive(hangs)
        watched.overdue.set()
        wait_for(lambda: bool(watched.downs))
        watched.overdue.clear()
        wait_for(lambda: not _alive(hangs))
        wait_for(lambda: len(watched.pids) == 2)
        watched.worker.send("again")
        wait_for(lambda: watched.messages == ["again"])
    finally:
        other.worker.stop()


def test_where_no_process_can_be_had_it_is_tried_again(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError("Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(ForkServerProcess, "start", refuse)
        os.kill(watched.pids[0], signal.SIGKILL)
        wait_for(lambda: watched.worker.restarts >= 2)
        with pytest.raises(WorkerFailed, match=r"no process can be started for it: Resource temporarily"):
            Worker("other", silent, (), message=print).start()
    wait_for(lambda: len(watched.pids) == 2)
    assert watched.given_up == []


def test_hung_with_a_full_pipe_it_is_killed_and_nobody_waits(watched: Watched) -> None:
    watched.worker.send("hang")
    for _ in range(20):
        assert watched.worker.send(bytes(2**20))
    watched.overdue.set()
    wait_for(lambda: bool(watched.downs))
    watched.overdue.clear()
    assert watched.downs == ["echo gave no answer in time and was killed"]
    wait_for(lambda: len(watched.pids) == 2)
    watched.worker.send("again")
    wait_for(lambda: watched.messages == ["again"])


def test_that_cannot_start_is_refused_with_its_own_sentence(tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed, match=r"echo cannot start: .*gone is not there"):
        Watched(tmp_path / "gone").worker.start()


def test_that_never_gets_ready_is_refused() -> None:
    worker = Worker("silent", silent, (), message=print, start_s=1)
    with pytest.raises(WorkerFailed, match="not ready within 1 s"):
        worker.start()
    assert worker.pid is None


def test_that_dies_again_and_again_is_given_up(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    watched = Watched(folder, backoff=Backoff(first_s=0.01, most=2))
    watched.worker.start()
    folder.rmdir()
    watched.worker.send("die")
    wait_for(lambda: bool(watched.given_up))
    assert watched.given_up == [f"echo failed 3 times within 60 s, at last: {folder} is not there"]
    assert not watched.worker.send("anything")
    watched.worker.stop()


def test_pauses_grow_and_end() -> None:
    assert [Backoff().pause_s(deaths) for deaths in (1, 2, 3, 20)] == [0.05, 0.1, 0.2, 5.0]


def test_ends_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from serve.pipeline.worker import Worker\n"
        "from tests.serve.pipeline.workers import echo\n"
        "if __name__ == '__main__':\n"
        f"    print(Worker('echo', echo, (Path({str(tmp_path)!r}),), message=print).start(), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(program)
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])},
    ) as parent:  # fmt: skip
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.kill()
    wait_for(lambda: not _alive(child))


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
