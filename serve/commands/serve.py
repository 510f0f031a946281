"""`inspection serve`: a station with its camera, its archive and its page."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspection.runtimes.names import AUTO, NAMES, RuntimeName

if TYPE_CHECKING:
    from serve.logs import LogFormat


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--archive", required=True, type=click.Path(path_type=Path), help="Folder for records and images.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option(
    "--runtime", type=click.Choice([AUTO, *NAMES]), help="The engine [default: the recipe's `runtime`, or auto]."
)
@click.option("--threads", type=click.IntRange(1), help="Cores for one frame [default: the recipe's, or all].")
@click.option(
    "--log-format",
    type=click.Choice(["json", "text"]),
    help="The log on standard error [default: text in a terminal, else json].",
)
def serve(
    recipe: Path,
    archive: Path,
    host: str,
    port: int,
    runtime: RuntimeName | None,
    threads: int | None,
    log_format: "LogFormat | None",
) -> None:
    """Run RECIPE (a YAML file) until Ctrl-C: inspect the camera's frames and uploaded images, record, show."""
    import signal
    import sys
    from contextlib import ExitStack

    from serve.logs import configure
    from serve.server import Server, listen
    from serve.service import build_service

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the server answers: what was begun is closed
    with ExitStack() as stack:
        listener = stack.enter_context(listen(host, port))
        service = build_service(recipe, archive, stack, threads, runtime)
        server = Server(service, listener)
        configure(log_format or ("text" if sys.stderr.isatty() else "json"))
        click.echo(
            f"{service.station.recipe.label} on {service.station.recipe.station}: {server.address} "
            f"with {service.station.detector.runtime} (Ctrl-C stops)"
        )
        server.run_bound()
        counts = service.tally.snapshot()["outcomes"]
        click.echo(f"stopped: {counts['PASS']} passed, {counts['REVIEW']} for review, {counts['REJECT']} rejected")
