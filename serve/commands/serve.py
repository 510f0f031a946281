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
@click.option("--tls-certificate", type=click.Path(path_type=Path), help="Certificate with its chain, a PEM file.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its key, a PEM file.")
@click.option("--plain-http", is_flag=True, help="Listen on a network without TLS: a proxy in front of it has it.")
@click.option("--accept-damage", default="", metavar="WHY", help="Start on a damaged archive; the reason is on record.")
@click.option("--unapproved", is_flag=True, help="Try out a recipe that is not under change control; it is on record.")
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
    tls_certificate: Path | None,
    tls_key: Path | None,
    plain_http: bool,
    accept_damage: str,
    unapproved: bool,
    runtime: RuntimeName | None,
    threads: int | None,
    log_format: "LogFormat | None",
) -> None:
    """Run RECIPE (a YAML file) until Ctrl-C: inspect the camera's frames and uploaded images, record, show."""
    import signal
    import sys
    from contextlib import ExitStack

    from inspection.accounts.users import has_users
    from inspection.errors import BadUsage
    from serve.logs import configure
    from serve.server import Server, Tls, check_address, listen
    from serve.service import build_service

    if (tls_certificate is None) != (tls_key is None):
        raise BadUsage("--tls-certificate and --tls-key belong together; give both")
    tls = Tls(tls_certificate, tls_key) if tls_certificate and tls_key else None
    check_address(host, tls, plain_http)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the server answers: what was begun is closed
    with ExitStack() as stack:
        listener = stack.enter_context(listen(host, port))
        service = build_service(
            recipe, archive, stack, threads, runtime, unapproved=unapproved, accept_damage=accept_damage
        )
        server = Server(service, listener, tls)
        configure(log_format or ("text" if sys.stderr.isatty() else "json"))
        click.echo(
            f"{service.station.recipe.label} on {service.station.recipe.station}: {server.address} "
            f"with {service.station.detector.runtime} (Ctrl-C stops)"
        )
        for said in service.recovery.sentences:
            click.echo(f"the start found: {said}")
        if unapproved:
            click.echo("the recipe is not under change control: this is a trial, and so it is on record")
        if not has_users(service.archive):
            click.echo(
                f"no accounts yet: make the first one, an administrator's, at {server.address}sign-in with the code "
                f"{server.first_start.code}, or by `inspection user setup`"
            )
        server.run_bound()
        counts = service.tally.snapshot()["outcomes"]
        click.echo(f"stopped: {counts['PASS']} passed, {counts['REVIEW']} for review, {counts['REJECT']} rejected")
