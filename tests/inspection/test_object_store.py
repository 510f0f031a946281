"""An object store that goes away, hangs or is another one: told in time, and nothing is called missing for it."""

import socket
import time
from pathlib import Path

import pytest

from inspection.errors import OutputNotWritable
from inspection.image_store import ImagesUnreachable
from inspection.object_store import ObjectStore
from tests.object_stores import S3Server

TIMEOUT_S = 1.0


def test_a_server_that_is_back_is_used_again(own_s3: S3Server, tmp_path: Path) -> None:
    images = ObjectStore(own_s3.settings(tmp_path, timeout_s=TIMEOUT_S))
    name = images.put(b"one", ".png")
    own_s3.stop()
    with pytest.raises(OutputNotWritable, match=rf"{own_s3.endpoint}, bucket {own_s3.bucket} did not take"):
        images.put(b"two", ".png")
    for act in (lambda: images.get(name), lambda: list(images.names())):
        with pytest.raises(ImagesUnreachable, match="did not"):
            act()
    own_s3.start()
    assert images.get(name) == b"one"
    assert images.get(images.put(b"two", ".png")) == b"two"


def test_a_server_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        server = S3Server(silent.getsockname()[1])
        images = ObjectStore(server.settings(tmp_path, timeout_s=TIMEOUT_S))
        for act in (lambda: images.put(b"one", ".png"), lambda: images.get("a" * 64 + ".png")):
            began = time.monotonic()
            with pytest.raises((OutputNotWritable, ImagesUnreachable)):
                act()
            assert time.monotonic() - began < 4 * TIMEOUT_S


def test_a_bucket_that_is_not_there_takes_nothing(own_s3: S3Server, tmp_path: Path) -> None:
    settings = own_s3.settings(tmp_path).model_copy(update={"bucket": "elsewhere"})
    with pytest.raises(OutputNotWritable, match="bucket elsewhere"):
        ObjectStore(settings).put(b"one", ".png")


def test_what_others_keep_in_the_bucket_is_no_image_of_ours(own_s3: S3Server, tmp_path: Path) -> None:
    images = ObjectStore(own_s3.settings(tmp_path, "ours"))
    name = images.put(b"one", ".png")
    for key in ("ours/readme.txt", f"theirs/ab/{'a' * 64}.png"):
        own_s3.client().put_object(Bucket=own_s3.bucket, Key=key, Body=b"x")
    assert list(images.names()) == [name]
