"""A local S3 server for tests, started by them, with a bucket; it can be stopped and started again."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

from inspection.archive_settings import ObjectStoreSettings, Secret

ACCESS_KEY, SECRET_KEY = "tests", "tests-secret"
_numbers = itertools.count(1)


class S3Server:
    """moto on a port of the loopback interface. What it holds outlives a stop, and lies in the process: each has a
    bucket of its own."""

    def __init__(self, port: int) -> None:
        self.port, self._server = port, self._made(port)
        self.endpoint, self.bucket = f"http://127.0.0.1:{port}", f"inspection-{next(_numbers)}"

    @staticmethod
    def _made(port: int) -> ThreadedMotoServer:
        return ThreadedMotoServer("127.0.0.1", port, verbose=False)

    def start(self) -> None:
        """Answer from now on."""
        self._server = self._made(self.port)
        self._server.start()

    def stop(self) -> None:
        """Answer no more, and listen no more; a second time it does nothing."""
        listener = self._server._server
        if listener is not None:
            self._server.stop()
            listener.server_close()
            self._server._server = None

    def client(self):  # type: ignore[no-untyped-def]
        """Whoever else has the keys to the bucket."""
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
        )  # fmt: skip

    def settings(self, folder: Path, prefix: str = "", timeout_s: float = 1.0) -> ObjectStoreSettings:
        """How to reach it; the secrets are files in `folder`."""
        secrets = {}
        for name, text in (("access_key", ACCESS_KEY), ("secret_key", SECRET_KEY)):
            (folder / name).write_text(text + "\n")
            secrets[name] = Secret(file=folder / name)
        return ObjectStoreSettings(
            bucket=self.bucket, prefix=prefix, endpoint=self.endpoint, timeout_s=timeout_s, **secrets
        )  # fmt: skip


@contextmanager
def s3_server(free_port: Callable[[], int]) -> Iterator[S3Server]:
    """A server with an empty bucket, until the block ends."""
    server = S3Server(free_port())
    server.start()
    try:
        server.client().create_bucket(Bucket=server.bucket)
        yield server
    finally:
        server.stop()
