"""Which service sets the clock of this machine, and how far off the clock is by what that service says.

Offsets are NTP's: true time minus this clock, in seconds. A positive one means that the clock is slow.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess

# Names as the kernel has them, which cuts them at 15 characters.
SERVICES = {
    "chronyd": "chrony",
    "systemd-timesyn": "timesyncd",
    "ntpd": "ntpd",
    "ptp4l": "ptp",
    "phc2sys": "ptp",
}
# Fields of `chronyc -c tracking`: reference id, its name, stratum, reference time, system time, last offset, RMS
# offset, frequency, residual frequency, skew, root delay, root dispersion, update interval, leap status.
CHRONY_FIELDS, CHRONY_SYSTEM_TIME = 14, 4
# As systemd writes time spans; a dictionary keeps "min" and "ms" before "m" and "s".
UNITS = {
    "month": 2629800.0,
    "min": 60.0,
    "ms": 1e-3,
    "us": 1e-6,
    "μs": 1e-6,
    "µs": 1e-6,
    "y": 31557600.0,
    "w": 604800.0,
    "d": 86400.0,
    "h": 3600.0,
    "s": 1.0,
}
SPAN = re.compile(r"([\d.]+)\s*(%s)" % "|".join(UNITS))
SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"


def output(*argv: str) -> tuple[str, str]:
    """What a command printed, or why it printed nothing."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        return "", said[-1] if said else "%s ended with status %d" % (argv[0], done.returncode)
    return done.stdout, ""


def container() -> str:
    """The kind of container that this machine is; nothing where it has a kernel of its own."""
    if os.path.exists("/run/systemd/container"):
        with open("/run/systemd/container", encoding="utf-8") as file:
            return file.read().strip()
    # Where there is none it prints so and ends with an error.
    return output("systemd-detect-virt", "--container")[0].strip()


def running_service(proc: str = "/proc") -> str:
    """The time service that runs; nothing where there is none that we know."""
    found = set()
    for path in glob.glob(os.path.join(proc, "[0-9]*", "comm")):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                found.add(SERVICES.get(file.read().strip(), ""))
        except OSError:
            continue
    return min(found - {""}, key=list(SERVICES.values()).index, default="")


def chrony_offset(text: str) -> tuple[float | None, str | None]:
    """Offset in `chronyc -c tracking`, or why there is none."""
    fields = text.strip().split(",")
    if len(fields) != CHRONY_FIELDS:
        return None, "chronyc says something else than expected: %s" % text.strip()[:100]
    if fields[-1] == "Not synchronised":
        return (
            None,
            "chrony has no time source yet: name one in /etc/chrony/sources.d where the node has no internet",
        )
    return float(fields[CHRONY_SYSTEM_TIME]), None


def timesyncd_offset(text: str) -> tuple[float | None, str | None]:
    """Offset in `timedatectl timesync-status`, or why there is none."""
    found = re.search(r"(?m)^\s*Offset: ([+-])(.+)$", text)
    if not found:
        return None, "systemd-timesyncd has had no answer from a time server yet"
    seconds = sum(float(number) * UNITS[unit] for number, unit in SPAN.findall(found[2]))
    return (-seconds if found[1] == "-" else seconds), None


def clock_of(kind: str, kernel: str) -> dict:
    """Source and offset of the clock, or why no offset is known.

    ``kind`` is what ``container`` says; hosts of one ``kernel`` (its name, where the inventory gives one) share a clock.
    """
    source, offset, why = running_service(), None, None
    if source == "chrony":
        text, why = output("chronyc", "-c", "tracking")
        offset, why = chrony_offset(text) if text else (None, why)
    elif source == "timesyncd":
        text, why = output("timedatectl", "timesync-status")
        offset, why = timesyncd_offset(text) if text else (None, why)
    elif source:
        why = "%s runs, whose offset is not read here" % source
    elif kernel:
        source, why = "shared", "the hosts of node_kernel %s share one clock" % kernel
    elif kind:
        why = "a container (%s) has the clock of its host" % kind
    elif installed():
        why = "chrony is installed and does not run: type sudo systemctl enable --now chrony"
    else:
        why = "no time service runs"
    return {
        "source": source or "none",
        "offset_s": offset,
        "absent_because": why,
        "shared_kernel": kernel or None,
    }


def installed() -> bool:
    """Whether chrony is there, running or not."""
    return bool(shutil.which("chronyd", path=os.environ.get("PATH", "") + SBIN))
