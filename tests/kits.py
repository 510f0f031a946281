"""A challenge kit of simulated vials, for tests."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from inspection.accounts.sign_in import SignIn
from inspection.archive import Archive
from inspection.registry.steps import Registry
from inspection.signatures import Signer
from inspection.signing import signing_key
from tests.people import PASSWORD, people

Images = dict[str, list[Path]]
CHALLENGE = {"kit": "vial-kit", "every": "batch"}


def write_kit(folder: Path, units: list[dict[str, Any]], version: str = "1.0.0", **more: Any) -> Path:
    """A kit's file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"kit-{version}.yaml"
    file.write_text(yaml.safe_dump({"name": "vial-kit", "version": version, "product": "vial", "units": units} | more))
    return file


def vial_kit(folder: Path, images: Images, version: str = "1.0.0") -> Path:
    """A kit of a good vial and one with a crack; with version 2 the truth of both is wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    good, crack = images["good"][0], images["crack"][0]
    for name, path in (("good.png", good), ("crack.png", crack)):
        shutil.copy(path, folder / name)
    right = not version.startswith("2")
    return write_kit(
        folder,
        [
            {"id": "K-1", "truth": "good", "images": ["good.png" if right else "crack.png"]},
            {"id": "K-2", "truth": "defective", "defect": "crack", "images": ["crack.png" if right else "good.png"]},
        ],
        version,
    )


def desk(archive: Archive, name: str) -> Registry:
    """The registry, for somebody."""
    return Registry(archive, signing_key(archive), Signer(SignIn(archive), name, PASSWORD))


def approved(folder: Path, kit: Path, version: str = "1.0.0") -> None:
    """Register a kit in the archive of a folder, and approve it."""
    people(folder, eva="engineer", quinn="quality", otto="operator")
    with Archive(folder) as archive:
        desk(archive, "eva").register_kit(kit, "new kit")
        desk(archive, "quinn").approve("kit", "vial-kit", version, "looked at each unit")
