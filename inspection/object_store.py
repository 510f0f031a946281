"""Images and heatmaps in an S3-compatible object store, named by the SHA-256 of their content."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from inspection.archive_settings import ObjectStoreSettings
from inspection.errors import OutputNotWritable
from inspection.image_store import ImageMissing, ImagesUnreachable, check_content, check_name, content_name, is_name

if TYPE_CHECKING:
    from obstore.store import S3Config


class ObjectStore:
    """Objects `prefix/ab/abcd….png`. The server checks each upload against its SHA-256; what it has acknowledged is
    durable by its own word. A server that does not answer in time is a fault and not waited for."""

    def __init__(self, settings: ObjectStoreSettings) -> None:
        self._settings = settings
        timeout = timedelta(seconds=settings.timeout_s)
        config: S3Config = {
            "region": settings.region,
            "access_key_id": settings.access_key.read("access_key"),
            "secret_access_key": settings.secret_key.read("secret_key"),
            "checksum_algorithm": "SHA256",
            "virtual_hosted_style_request": settings.endpoint is None,
        }
        if settings.endpoint:
            config["endpoint"] = settings.endpoint
        self._store = S3Store(
            settings.bucket,
            prefix=settings.prefix or None,
            config=config,
            client_options={"allow_http": True, "timeout": timeout, "connect_timeout": timeout},
            retry_config={"max_retries": 2, "retry_timeout": timeout},
        )

    def put(self, data: bytes, suffix: str) -> str:
        """Store `data` durably; returns its name. Raises OutputNotWritable."""
        name = content_name(data, suffix)
        try:
            self._store.put(_key(name), data)
        except (BaseError, OSError) as error:
            raise OutputNotWritable(f"{self._place} did not take an image ({_cause(error)})") from error
        return name

    def get(self, name: str) -> bytes:
        """The bytes stored as `name`, checked. Raises ImageMissing, ImageChanged, and ImagesUnreachable where the
        server cannot say whether it has it."""
        key = _key(check_name(name))
        try:
            data = bytes(self._store.get(key).bytes())
        except (FileNotFoundError, NotFoundError) as error:
            raise ImageMissing(f"image {name} is missing (not in {self._place})") from error
        except (BaseError, OSError) as error:
            raise ImagesUnreachable(f"{self._place} did not give image {name} ({_cause(error)})") from error
        return check_content(name, data)

    def delete(self, name: str) -> None:
        """Remove an object, for the retention rule alone; one that is not there is no fault."""
        try:
            self._store.delete(_key(check_name(name)))
        except (FileNotFoundError, NotFoundError):
            pass
        except (BaseError, OSError) as error:
            raise OutputNotWritable(f"{self._place} did not delete {name} ({_cause(error)})") from error

    def names(self) -> Iterator[str]:
        """Of all that is stored, in no particular order. Raises ImagesUnreachable."""
        try:
            for page in self._store.list():
                for found in page:
                    name = str(found["path"]).rpartition("/")[2]
                    if is_name(name):
                        yield name
        except (BaseError, OSError) as error:
            raise ImagesUnreachable(f"{self._place} did not list its images ({_cause(error)})") from error

    @property
    def _place(self) -> str:
        return f"the object store {self._settings.endpoint or 'Amazon S3'}, bucket {self._settings.bucket}"


def _key(name: str) -> str:
    return f"{name[:2]}/{name}"


def _cause(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
