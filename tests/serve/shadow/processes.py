"""Processes of a candidate that do what a file beside the recipe says."""

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

from inspection.finding import GoldenMismatch
from inspection.recipe import Recipe
from serve.pipeline.worker import Ready
from serve.shadow.process import Loaded, Looked

ORDERS = "orders"


def obedient(connection: Connection, recipe: Recipe, folder: Path, runtime: str | None) -> None:  # noqa: ARG001
    """Passes every unit; `orders` in the folder makes it reject, raise, hang, die, or not start."""
    orders = folder / ORDERS
    told = lambda: orders.read_text() if orders.exists() else ""  # noqa: E731
    if told() == "refuse":
        raise GoldenMismatch("golden frame 'good-0' has another score; the package must not serve")
    connection.send(Ready(Loaded("none", {"review_limit": 1.0, "reject_limit": 2.0})))
    while (asked := connection.recv()) is not None:
        if told() == "hang":
            time.sleep(600)
        if told() == "die":
            os._exit(3)
        outcome, reason, score, message = {
            "reject": ("REJECT", "above_reject_limit", 9.0, ""),
            "raise": ("REJECT", "model_fault", None, "the graph fell over"),
        }.get(told(), ("PASS", "within_limits", 0.5, ""))
        scores = tuple(score for _ in asked.frames)
        connection.send(Looked(asked.token, outcome, reason, score, scores, message, 0.002, 0.001))
