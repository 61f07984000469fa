"""Where the operator starts: settings, connection, engine. `compose.py` puts together what the engine runs."""

import asyncio
import gc
import logging
import sys
from importlib.metadata import version

import structlog
from pydantic import ValidationError

from keelway.cluster.connection import Connection
from keelway.compose import assembly, webhooks
from keelway.engine.engine import Engine, Options
from keelway.engine.metrics import Metrics
from keelway.errors import KeelwayError
from keelway.settings import Settings


async def run(settings: Settings) -> None:
    """Run until SIGTERM. Raises Transient NoCredentials, and OSError where the port is taken."""
    metrics = Metrics()
    agent = f"keelway/{version('keelway')} ({settings.pod_name})"
    connection = await Connection.open(settings.context, settings.kubeconfig, metrics.requested, agent)
    options = Options(
        namespace=settings.namespace,
        identity=settings.pod_name,
        port=settings.port,
        workers=settings.workers,
        sweep_seconds=settings.sweep_seconds,
    )
    try:
        # Beside the terms of leadership: every replica takes them.
        async with webhooks(settings, connection, metrics):
            await Engine(connection, metrics, assembly(settings), options).run()
    finally:
        await connection.close()


def main() -> int:
    """The exit status."""
    _configure_logs()
    # Thousands of parsed objects live and die in each sweep: at Python's default the collector looks through all that
    # live again and again (measured with 12,000 objects: 8.7 s of CPU until all were looked at, 6.2 s so).
    gc.set_threshold(50_000, 20, 100)
    try:
        asyncio.run(run(Settings()))
    except (KeelwayError, ValidationError, OSError) as error:
        structlog.get_logger(__name__).error("cannot start", error=str(error))
        return 1
    return 0


def _configure_logs() -> None:
    """One JSON object a line, ours and the libraries' alike."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Kopf tells each connection at INFO, httpx each request.
    for chatty in ("kopf", "httpx", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
