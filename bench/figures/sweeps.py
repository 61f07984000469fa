"""Sweeps over what is as it should be: by the API server's audit log, not one write."""

from typing import Final

from bench import audit, cold
from bench.audit import Asked
from bench.kube import until
from bench.results import Figure
from bench.world import World

SWEEPS: Final = 2
_EVERY_SECONDS: Final = 8
_SWEEP_SECONDS: Final = 20.0


async def measure(world: World) -> list[Figure]:
    """Two whole sweeps of an operator that sweeps every few seconds; the one after it sweeps as usual again."""
    await world.restart({"KEELWAY_SWEEP_SECONDS": str(_EVERY_SECONDS)})
    audit_log = world.ground.audit
    mark = audit_log.mark()

    async def swept() -> bool:
        # The first may have been under way, and the last one is.
        return sweeps_begun(audit_log.since(mark, cold.AGENT)) >= SWEEPS + 2

    await until(f"{SWEEPS} sweeps", swept, (SWEEPS + 2) * (_EVERY_SECONDS + _SWEEP_SECONDS), every=1)
    writes = audit.writes(audit_log.since(mark, cold.AGENT))
    await world.restart()
    return [Figure(f"writes in {SWEEPS} sweeps over {world.apps} converged Apps", len(writes), limit=0)]


def sweeps_begun(asked: list[Asked]) -> int:
    """Each sweep lists each kind once; Images are few enough for one page."""
    return sum(one.verb == "list" and one.resource == "images" for one in asked)
