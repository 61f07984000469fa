"""`python -m bench [FIGURE...]`: measures on the cluster keelway-bench, and on no other."""

import argparse
import asyncio
import sys

from bench.figures import ratio
from bench.ground import prepared
from devcluster import settings


async def run(arguments: argparse.Namespace) -> int:
    here = settings.from_environment("bench")
    async with prepared(here, here.state / "bench") as ground:
        figures = await ratio.measure(ground, arguments.apps, arguments.rounds)
    for figure in figures:
        print(figure)
    return 0 if all(one.ok for one in figures) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--apps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    sys.exit(asyncio.run(run(parser.parse_args())))
