"""The Docker Engine: the one that is there, or Debian's, installed and started by hand."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from devcluster import capabilities, shell
from devcluster.errors import DevclusterError
from devcluster.progress import Progress
from devcluster.settings import PACKAGE, Settings

# dockerd calls iptables; the long way makes its root file systems with mmdebstrap.
PACKAGES = ("docker.io", "iptables", "conntrack", "mmdebstrap", "ca-certificates")
# There where systemd is process 1 (sd_booted(3)).
SYSTEMD = Path("/run/systemd/system")
# Every kubelet, containerd and systemd watches files; the kernel's default of 128 a user is soon used up
# (https://kind.sigs.k8s.io/docs/user/known-issues/#pod-errors-due-to-too-many-open-files).
INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES = 512
START_SECONDS = 60
STOP_SECONDS = 30

NO_ENGINE = """no Docker Engine answers, and this machine does not let us start one. Either
  - start Docker (Docker Desktop, `sudo systemctl start docker`, colima, ...) so that `docker version` answers, or
  - run this as root on a Debian machine: it then installs docker.io and starts dockerd by itself."""


def ensure(settings: Settings, progress: Progress) -> None:
    """Returns when `docker` answers. Raises DevclusterError where that cannot be had."""
    if answers():
        return
    if not can_start():
        raise DevclusterError(NO_ENGINE)
    install(progress, PACKAGES)
    with progress.step("start dockerd") as step:
        if SYSTEMD.exists():
            shell.run(["systemctl", "start", "docker"], step.log)
        else:
            start(settings, step.log)


def answers() -> bool:
    if shutil.which("docker") is None:
        return False
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def can_start() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(progress: Progress, packages: tuple[str, ...]) -> None:
    """Install what is missing of these Debian packages. Needs root."""
    missing = [name for name in packages if not installed(name)]
    if not missing:
        return
    with progress.step(f"install {' '.join(missing)}") as step:
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        # An interrupted run leaves packages half configured; this is nothing when there are none.
        shell.run(["dpkg", "--configure", "-a"], step.log, env=quiet)
        shell.run(["apt-get", "update"], step.log, env=quiet)
        # A package's own start script must not start dockerd: `start` does, with our log and runtime.
        install_command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
        shell.run(install_command, step.log, env={**quiet, "RUNLEVEL": "1"})


def installed(package: str) -> bool:
    command = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    return subprocess.run(command, capture_output=True, text=True).stdout == "installed"


def start(settings: Settings, log: Path) -> None:
    stop(settings)
    if int(INOTIFY_LIMIT.read_text()) < INOTIFY_INSTANCES:
        INOTIFY_LIMIT.write_text(str(INOTIFY_INSTANCES))
    home = directory(settings)
    home.mkdir(parents=True, exist_ok=True)
    output = home / "dockerd.log"
    command = ["dockerd", *bounded_runtime(home, capabilities.missing_here())]
    with output.open("a") as out:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    record(settings).write_text(json.dumps({"pid": daemon.pid, "started": start_time(daemon.pid)}))
    log.write_text(f"$ {shlex.join(command)}\noutput: {output}\n")
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if daemon.poll() is not None:
            raise DevclusterError(f"dockerd ended with status {daemon.returncode}. Its log says why.", output)
        if time.monotonic() > deadline:
            raise DevclusterError(f"dockerd gave no answer within {START_SECONDS} s. Its log says why.", output)
        time.sleep(0.2)


def bounded_runtime(home: Path, lacking: tuple[str, ...]) -> list[str]:
    """The dockerd flags that put `bounded_runc` in runc's place; none where the machine lacks nothing."""
    if not lacking:
        return []
    program = home / "bounded_runc.py"
    shutil.copyfile(PACKAGE / "bounded_runc.py", program)
    wrapper = home / "bounded-runc"
    wrapper.write_text(
        "#!/bin/sh\n"
        f"KEELWAY_DROP_CAPABILITIES={','.join(lacking)} exec "
        f'{shlex.quote(sys.executable)} -I -S {shlex.quote(str(program))} "$@"\n'
    )
    wrapper.chmod(0o755)
    return ["--add-runtime", f"bounded={wrapper}", "--default-runtime", "bounded"]


def stop(settings: Settings) -> bool:
    """Stop the dockerd that `start` started, if it still runs. Whether it did."""
    pid = our_pid(settings)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while our_pid(settings) is not None and time.monotonic() < deadline:
        time.sleep(0.2)
    if our_pid(settings) is not None:
        os.kill(pid, signal.SIGKILL)
    record(settings).unlink(missing_ok=True)
    return True


def our_pid(settings: Settings) -> int | None:
    """The process id of our dockerd; None where it is gone. A process id used again has another start time."""
    try:
        noted = json.loads(record(settings).read_text())
        alive = start_time(noted["pid"]) == noted["started"]
    except (OSError, ValueError):
        return None
    return int(noted["pid"]) if alive else None


def start_time(pid: int) -> str:
    """Field 22 of /proc/<pid>/stat (proc(5)), in clock ticks since boot. A zombie counts as gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] == "Z":
        raise OSError(f"process {pid} has ended")
    return fields[19]


def record(settings: Settings) -> Path:
    return directory(settings) / "dockerd.json"


def directory(settings: Settings) -> Path:
    return settings.cache / "dockerd"
