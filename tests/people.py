"""People with accounts in an archive, for tests: each with the same password, which need not be changed."""

from pathlib import Path

from inspection.accounts.sign_in import SignIn
from inspection.accounts.users import create_first, create_user, find_user, has_users
from inspection.archive import Archive
from inspection.schema import users

PASSWORD = "Quiet-River-Stone-47"
_FIRST = "Another-Lamp-Post-83"


def people(folder: Path, **roles: str) -> None:
    """Accounts by name with their roles (several with commas between), in the archive of a folder; the first one of all
    is the administrator `root.person`."""
    with Archive(folder) as archive:
        if not has_users(archive):
            create_first(archive, "root.person", "Rosa Person", PASSWORD)
        for name, of in roles.items():
            if find_user(archive, name) is None:
                full_name = f"{name.title()} Person-{len(name)}"
                create_user(archive, name, full_name, of.split(","), _FIRST, "root.person", "test")
                SignIn(archive).change_password(name, _FIRST, PASSWORD)


def forget_ages(folder: Path) -> None:
    """Make all passwords old."""
    with Archive(folder) as archive, archive.writing() as write:
        write.connection.execute(users.update().values(password_set_at="2020-01-01T00:00:00.000000Z"))
