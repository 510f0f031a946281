"""A receiver for every kind of output in the registry."""

from collections.abc import Callable
from pathlib import Path

from tests.serve.output_broker import Broker
from tests.serve.output_controllers import OpcUaClient, Plc
from tests.serve.output_receivers import Lines, Receiver, WebServer


def receiver_of(kind: str, folder: Path, port: int) -> Receiver:
    """What stands at the other end of a kind, not started yet; `port` is free."""
    makers: dict[str, Callable[[], Receiver]] = {
        "gpio": lambda: Lines(folder),
        "modbus": lambda: Plc(port),
        "mqtt": lambda: Broker(folder, port),
        "opcua": lambda: OpcUaClient(port),
        "webhook": lambda: WebServer(port),
    }
    return makers[kind]()
