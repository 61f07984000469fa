"""A steady trickle of requests to argv[1]: one each 50 ms, each on a connection of its own, each failure remembered.

Runs in a pod. Prints a line of JSON a second: requests so far, how many of each answer, and all failures; the newest
line tells all.
"""

import collections
import http.client
import json
import sys
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

EVERY_SECONDS = 0.05
PATIENCE_SECONDS = 5


def ask(address: urllib.parse.SplitResult) -> str:
    connection = http.client.HTTPConnection(address.netloc, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", address.path or "/")
        answer = connection.getresponse()
        body = answer.read().decode().strip()
        if answer.status != 200:
            raise OSError(f"status {answer.status}: {body[:100]}")
        return body
    finally:
        connection.close()


def main() -> None:
    address = urllib.parse.urlsplit(sys.argv[1])
    answers: collections.Counter[str] = collections.Counter()
    failures: list[str] = []

    def once(number: int) -> None:
        try:
            answers[ask(address)] += 1
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"request {number} at {time.strftime('%H:%M:%S')}: {type(error).__name__} {error}")

    with ThreadPoolExecutor(32) as pool:
        begun = time.monotonic()
        number = 0
        while True:
            pool.submit(once, number)
            number += 1
            if number % 20 == 0:
                print(json.dumps({"requests": number, "answers": answers, "failures": failures}), flush=True)
            time.sleep(max(0.0, begun + number * EVERY_SECONDS - time.monotonic()))


main()
