"""`down`: delete the cluster; with `everything`, also stop the dockerd of ours and empty the cache."""

import shutil

from devcluster import engine, kind
from devcluster.progress import Progress
from devcluster.settings import Settings


def down(settings: Settings, progress: Progress, *, everything: bool) -> None:
    if engine.answers() and (settings.bin / "kind").exists():
        with progress.step("delete the cluster") as step:
            kind.delete(settings, step.log)
    if everything:
        if engine.stop(settings):
            progress.say("stopped the dockerd that `up` had started")
        shutil.rmtree(settings.cache)
        progress.say(f"removed {settings.cache}")
