"""Keeps a server busy: four requests at a time to argv[1], one after the other, until the pod is deleted."""

import http.client
import sys
import threading
import urllib.parse


def keep_asking(address: urllib.parse.SplitResult) -> None:
    while True:
        connection = http.client.HTTPConnection(address.netloc, timeout=30)
        try:
            connection.request("GET", address.path)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            print(error, flush=True)
        finally:
            connection.close()


def main() -> None:
    address = urllib.parse.urlsplit(sys.argv[1])
    askers = [threading.Thread(target=keep_asking, args=(address,)) for _ in range(4)]
    for asker in askers:
        asker.start()


main()
