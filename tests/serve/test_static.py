"""Scripts that are not ours are what their makers published, with their licences."""

import hashlib
import re
from pathlib import Path

VENDOR = Path(__file__).parent.parent.parent / "serve" / "static" / "vendor"


def test_vendored_files_are_as_listed() -> None:
    rows = re.findall(
        r"^\| `(\S+)` \| (\S+) \| \S+ \| (\S+) \| `([0-9a-f]{64})` \|$",
        (VENDOR / "README.md").read_text(),
        re.MULTILINE,
    )
    listed = {file: digest for file, _, _, digest in rows}
    assert listed == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.suffix in (".js", ".css")
    }
    for file, _, licence, _ in rows:
        text = (VENDOR / f"LICENSE-{file.partition('.')[0]}.txt").read_text()
        assert {"MIT": "without restriction", "0BSD": "for any purpose with or without fee"}[licence] in " ".join(
            text.split()
        )
