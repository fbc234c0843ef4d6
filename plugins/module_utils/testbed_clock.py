"""Which service sets the clock of this machine, and how far off the clock is by what that service says.

Offsets are NTP's: true time minus this clock, in seconds. A positive one means that the clock is slow. The bound is how far
the clock can be off at most: the offset, and the root distance (half of the root delay and the root dispersion), RFC 5905.
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
CHRONY_FIELDS, CHRONY_SYSTEM_TIME, CHRONY_ROOT_DELAY, CHRONY_ROOT_DISPERSION = 14, 4, 10, 11
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


def chrony_offset(text: str) -> tuple[float | None, float | None, str | None]:
    """Offset and bound in `chronyc -c tracking`, or why there is none."""
    fields = text.strip().split(",")
    if len(fields) != CHRONY_FIELDS:
        return None, None, "chronyc says something else than expected: %s" % text.strip()[:100]
    if fields[-1] == "Not synchronised":
        return (
            None,
            None,
            "chrony has no time source yet: name one in /etc/chrony/sources.d where the node has no internet",
        )
    offset = float(fields[CHRONY_SYSTEM_TIME])
    distance = float(fields[CHRONY_ROOT_DELAY]) / 2 + float(fields[CHRONY_ROOT_DISPERSION])
    return offset, abs(offset) + distance, None


def timesyncd_offset(text: str) -> tuple[float | None, float | None, str | None]:
    """Offset and bound in `timedatectl timesync-status`, or why there is none."""
    found = re.search(r"(?m)^\s*Offset: ([+-])(.+)$", text)
    if not found:
        return None, None, "systemd-timesyncd has had no answer from a time server yet"
    offset = -span_s(found[2]) if found[1] == "-" else span_s(found[2])
    distance = re.search(r"(?m)^\s*Root distance: ([^(\n]+)", text)
    return offset, abs(offset) + span_s(distance[1]) if distance else None, None


def span_s(text: str) -> float:
    """Seconds of a time span as systemd writes it."""
    return sum(float(number) * UNITS[unit] for number, unit in SPAN.findall(text))


def clock_of(kind: str, kernel: str) -> dict:
    """Source, offset and bound of the clock, or why no offset is known.

    ``kind`` is what ``container`` says; hosts of one ``kernel`` (its name, where the inventory gives one) share a clock.
    """
    source, offset, bound, why = running_service(), None, None, None
    if source == "chrony":
        text, why = output("chronyc", "-c", "tracking")
        offset, bound, why = chrony_offset(text) if text else (None, None, why)
    elif source == "timesyncd":
        text, why = output("timedatectl", "timesync-status")
        offset, bound, why = timesyncd_offset(text) if text else (None, None, why)
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
        "bound_s": bound,
        "absent_because": why,
        "shared_kernel": kernel or None,
    }


def installed() -> bool:
    """Whether chrony is there, running or not."""
    return bool(shutil.which("chronyd", path=os.environ.get("PATH", "") + SBIN))
