"""The operator as in a pod, with its credentials in a directory: `python incluster.py DIRECTORY`.

In a pod the kubelet puts a new token into a file before the old one ends; there is no kubeconfig. The directory holds
`token` and `ca.crt`; the API server's address is in the environment, as in a pod.
"""

import os
import sys
from pathlib import Path

from kubernetes.aio.config import incluster_config

if __name__ == "__main__":
    directory = Path(sys.argv.pop(1))
    incluster_config.SERVICE_TOKEN_FILENAME = str(directory / "token")
    incluster_config.SERVICE_CERT_FILENAME = str(directory / "ca.crt")
    os.environ.pop("KEELWAY_CONTEXT", None)

    from keelway.__main__ import main

    sys.exit(main())
