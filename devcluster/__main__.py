"""The verbs of the dev cluster: `python -m devcluster {up,load,seed,deploy,prepare,demo,status,pause,down}`."""

import argparse
import fcntl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from devcluster import catalogue, kind, settings
from devcluster.demo import demo
from devcluster.deploy import deploy, prepare
from devcluster.down import down
from devcluster.errors import DevclusterError
from devcluster.nodes import load
from devcluster.progress import Progress
from devcluster.seed import seed
from devcluster.settings import Settings
from devcluster.status import status
from devcluster.up import up


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0, or 1 where it failed (or, for `status`, where something is missing)."""
    chosen = parser().parse_args(arguments)
    here = settings.from_environment(chosen.cluster)
    progress = Progress(here.logs)
    try:
        if chosen.verb == "status":
            return status(here, catalogue.load())
        with one_at_a_time(here, progress):
            match chosen.verb:
                case "up":
                    up(here, progress, catalogue.load())
                case "load":
                    load(here, progress, chosen.images)
                case "seed":
                    seed(here, progress, catalogue.load())
                case "deploy":
                    deploy(here, progress, catalogue.load())
                case "prepare":
                    prepare(here, progress, catalogue.load())
                case "demo":
                    demo(here, progress, catalogue.load())
                case "pause":
                    with progress.step("pause the cluster") as step:
                        kind.pause(here, step.log)
                case "down":
                    down(here, progress, everything=chosen.all)
    except DevclusterError as error:
        print(f"\nerror: {error.message}", file=sys.stderr)
        if error.log is not None:
            print(f"log: {error.log}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devcluster", description="The kind cluster of Keelway.")
    parser.add_argument("--cluster", choices=settings.PURPOSES, default="dev", help="which of our clusters (dev)")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="bring the cluster up, or back up; nothing is done twice")
    loading = verbs.add_parser("load", help="copy images from Docker into the nodes")
    loading.add_argument("images", nargs="+", metavar="IMAGE")
    verbs.add_parser("seed", help="push the base images to the registry in the cluster")
    verbs.add_parser("deploy", help="build the operator's image and install it")
    verbs.add_parser("prepare", help="install all but the operator's own pods: it runs outside, for bench and faults")
    verbs.add_parser("demo", help="bring everything up, apply examples/hello and call it")
    verbs.add_parser("status", help="what is there, what is missing, and what to do about it")
    verbs.add_parser("pause", help="freeze the cluster, so that it costs nothing until the next `up`")
    removing = verbs.add_parser("down", help="delete the cluster")
    removing.add_argument("--all", action="store_true", help="also stop the dockerd of ours and empty the cache")
    return parser


@contextmanager
def one_at_a_time(here: Settings, progress: Progress) -> Iterator[None]:
    """Two runs at once would build the same things, and fight over the cluster."""
    here.cache.mkdir(parents=True, exist_ok=True)
    with (here.cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("another run is at work: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
