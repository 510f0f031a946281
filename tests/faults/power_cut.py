"""A disk as it is after a power cut: rebuilt from the log that `power_cut.c` wrote, up to a moment.

What was synced is there: a file's content by a sync of the file, a name (made, renamed, removed) by a sync of its
folder. Of what was not, nothing is there, or any part of it: names one by one, content in blocks.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = 512


@dataclass(frozen=True)
class Step:
    """One call: C made, M made a folder, W wrote, T cut to a length, S synced, R renamed, U removed."""

    what: str
    path: str
    other: str
    number: int
    data: bytes


def read_log(path: Path) -> list[Step]:
    """The steps in a log."""
    raw, at, steps = path.read_bytes(), 0, []
    while at < len(raw):
        end = raw.index(b"\n", at)
        what, name, other, number, length = raw[at:end].decode().split("\t")
        at = end + 1 + int(length)
        steps.append(Step(what, name, other, int(number), raw[end + 1 : at]))
    return steps


@dataclass
class Disk:
    """Names and contents as processes see them (`seen`), and as they are on the disk (`kept`)."""

    seen: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    content: dict[int, bytearray] = field(default_factory=dict)
    synced: dict[int, bytes] = field(default_factory=dict)
    folders: set[int] = field(default_factory=set)

    def take(self, step: Step) -> None:
        """Do one step."""
        if step.what in "CM":
            inode = len(self.content)
            self.seen[step.path], self.content[inode] = inode, bytearray()
            if step.what == "M":
                self.folders.add(inode)
        elif step.what == "R":
            self.seen[step.other] = self.seen.pop(step.path)
        elif step.what == "U":
            self.seen.pop(step.path, None)
        elif step.what == "S":
            self._sync(step.path)
        elif step.path in self.seen:
            self._write(self.content[self.seen[step.path]], step)

    @staticmethod
    def _write(content: bytearray, step: Step) -> None:
        if step.what == "T":
            del content[step.number :]
            content.extend(bytes(step.number - len(content)))
            return
        content.extend(bytes(max(0, step.number - len(content))))
        content[step.number : step.number + len(step.data)] = step.data

    def _sync(self, path: str) -> None:
        inode = self.seen.get(path)
        if inode is not None and inode not in self.folders:
            self.synced[inode] = bytes(self.content[inode])
            return
        for names, others in ((self.kept, self.seen), (self.seen, self.kept)):
            for name in [one for one in names if one.rpartition("/")[0] == path]:
                if others is self.seen and name not in self.seen:
                    del self.kept[name]
                elif others is self.kept:
                    self.kept[name] = self.seen[name]

    def write_to(self, root: str, folder: Path, chance: random.Random | None) -> None:
        """Put what is left of the files under `root` into `folder`; with `chance`, some of what was not synced too."""
        names = dict(self.kept)
        for name in {*self.kept, *self.seen} if chance else ():
            if chance and chance.random() < 0.5:
                names.pop(name, None)
                if name in self.seen:
                    names[name] = self.seen[name]
        for name, inode in sorted(names.items()):
            there = folder / name.removeprefix(root).lstrip("/")
            if not there.parent.is_dir():
                continue  # its folder is not on the disk, so neither is it
            if inode in self.folders:
                there.mkdir(exist_ok=True)
            else:
                there.write_bytes(self._left(inode, chance))

    def _left(self, inode: int, chance: random.Random | None) -> bytes:
        kept, seen = self.synced.get(inode, b""), bytes(self.content[inode])
        if chance is None or kept == seen:
            return kept
        length = chance.choice([len(kept), len(seen), chance.randint(*sorted((len(kept), len(seen))))])
        blocks = range(0, length, _BLOCK)
        parts = [(seen if chance.random() < 0.5 else kept)[at : at + _BLOCK].ljust(_BLOCK, b"\0") for at in blocks]
        return b"".join(parts)[:length]
