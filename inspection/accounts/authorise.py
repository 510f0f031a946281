"""Who does something on the command line: a user name and a password, as everywhere else."""

from inspection.accounts.roles import Permission
from inspection.accounts.sign_in import PasswordExpired, SignIn
from inspection.accounts.users import User
from inspection.archive import Archive
from inspection.errors import InspectionError


class NotPermitted(InspectionError):
    """None of the user's roles permits it."""

    code = "not_permitted"


def authorise(archive: Archive, name: str, password: str, permission: Permission, purpose: str) -> User:
    """The user, who may do it. A refusal is on the audit trail. Raises SignInRefused, PasswordExpired, NotPermitted and
    ArchiveFault."""
    signed_in = SignIn(archive)
    user = signed_in.check(name, password, purpose)
    if user.must_change:
        raise PasswordExpired(f"{name} must change the password first; sign in on the service's page")
    if permission not in user.permissions:
        signed_in.refused(name, f"may not {permission}", purpose)
        raise NotPermitted(f"{name} may not do this: it needs permission to {permission}")
    return user
