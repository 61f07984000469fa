"""Which Linux capabilities this machine may hand to a container. PURE, but for `missing_here`.

`docker run --privileged` asks for every capability that the kernel knows. Where the machine itself was started
without one of them, runc fails with "unable to apply caps"; `bounded_runc` then leaves that one out.
"""

from pathlib import Path

# The order is the kernel's numbering (include/uapi/linux/capability.h).
# fmt: off
NAMES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT",
    "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE",
    "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
    "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
# fmt: on


def missing(process_status: str, last_capability: int) -> tuple[str, ...]:
    """The capabilities the kernel knows (0..last_capability) that `CapBnd` of a /proc/<pid>/status lacks."""
    bounding = next(int(line.split()[1], 16) for line in process_status.splitlines() if line.startswith("CapBnd:"))
    return tuple(name for number, name in enumerate(NAMES) if number <= last_capability and not bounding >> number & 1)


def missing_here() -> tuple[str, ...]:
    status = Path("/proc/self/status").read_text()
    return missing(status, int(Path("/proc/sys/kernel/cap_last_cap").read_text()))
