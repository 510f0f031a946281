"""Where an archive keeps what it keeps: `archive.yaml` in its folder, which need not be there."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from inspection.config import ConfigInvalid, read_config

SETTINGS_FILE = "archive.yaml"
DATABASE_FILE = "archive.sqlite"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Secret(_Part):
    """A secret by the environment variable or by the file that holds it: never by its text."""

    env: str | None = Field(default=None, min_length=1)
    file: Path | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Secret":
        if (self.env is None) == (self.file is None):
            msg = "a secret is either in `env`, a variable of the environment, or in `file`"
            raise ValueError(msg)
        return self

    def read(self, what: str) -> str:
        """The secret's text. Raises ConfigInvalid; `what` is named in the message."""
        if self.env is not None:
            text = os.environ.get(self.env, "")
            place = f"the environment variable {self.env}"
        else:
            assert self.file is not None
            place = str(self.file)
            try:
                text = self.file.read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise ConfigInvalid(f"{what}: {place} cannot be read; put the secret there as one line") from error
        if not text:
            raise ConfigInvalid(f"{what}: {place} is empty; put the secret there")
        return text


class ObjectStoreSettings(_Part):
    """An S3-compatible store: `endpoint` of one that is not Amazon's, `region`, and the two halves of the key."""

    bucket: str = Field(min_length=3, max_length=63, pattern=r"^[a-z0-9][a-z0-9.-]*$")
    prefix: str = Field(default="", max_length=256, pattern=r"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$")
    endpoint: str | None = Field(default=None, pattern=r"^https?://")
    region: str = "us-east-1"
    access_key: Secret
    secret_key: Secret
    timeout_s: float = Field(default=5.0, gt=0, le=60)


class OpenIdSettings(_Part):
    """An OpenID Connect provider to sign in with: its address, and how this service is known there."""

    issuer: str = Field(pattern=r"^https?://")
    client_id: str = Field(min_length=1, max_length=256)
    client_secret: Secret
    name: str = Field(default="the plant's sign-in", max_length=64)
    timeout_s: float = Field(default=5.0, gt=0, le=60)


class ArchiveSettings(_Part):
    """`database` is the address of a PostgreSQL database, without its password; left out, it is a SQLite file in the
    folder. Images lie in `images`, a folder, or in an object `store`; left out, in the folder `images` of the archive.
    `signing_key` is a file; kept outside, whoever can change the archive cannot sign for it."""

    database: str | None = None
    database_password: Secret | None = None
    images: Path | None = None
    store: ObjectStoreSettings | None = None
    signing_key: Path | None = None
    open_id: OpenIdSettings | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "ArchiveSettings":
        if self.images and self.store:
            msg = "images are either in a folder (`images`) or in a `store`"
            raise ValueError(msg)
        if self.database is None:
            if self.database_password:
                msg = "`database_password` is for a `database`, and there is none"
                raise ValueError(msg)
            return self
        try:
            url = make_url(self.database)
        except ArgumentError as error:
            msg = "`database` must look like postgresql://user@host:5432/name"
            raise ValueError(msg) from error
        if url.get_backend_name() != "postgresql" or not url.database:
            msg = "`database` must look like postgresql://user@host:5432/name"
            raise ValueError(msg)
        if url.password:
            msg = "a password does not belong into `database`; name a `database_password` with `env` or `file`"
            raise ValueError(msg)
        return self

    def database_url(self) -> URL | None:
        """The address with its password, or None for SQLite. Raises ConfigInvalid where the secret is not there."""
        if self.database is None:
            return None
        url = make_url(self.database).set(drivername="postgresql+psycopg")
        if self.database_password:
            url = url.set(password=self.database_password.read("database_password"))
        return url


def read_settings(folder: Path) -> ArchiveSettings:
    """The settings of the archive in `folder`, relative paths seen from there. Raises ConfigInvalid."""
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return ArchiveSettings()
    settings = read_config(path, ArchiveSettings)
    inside = {
        name: folder / value for name in ("images", "signing_key") if (value := getattr(settings, name)) is not None
    }
    return settings.model_copy(update=inside)
