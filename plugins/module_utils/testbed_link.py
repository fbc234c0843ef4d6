"""The interface that carries an address of this machine, and the speed that it says its link has."""

from __future__ import annotations

import array
import fcntl
import glob
import ipaddress
import os
import socket
import struct

SIOCGIFCONF = 0x8912
# struct ifreq where pointers have 8 bytes: the name, then a socket address.
IFREQ_BYTES, NAME_BYTES = 40, 16
INTERFACES = 200
NETWORK = "/sys/class/net"


def ipv4_interfaces() -> dict[str, str]:
    """The interface of each IPv4 address, as the kernel lists them."""
    buffer = array.array("B", bytes(IFREQ_BYTES * INTERFACES))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("iL", len(buffer), buffer.buffer_info()[0])
        size = struct.unpack("iL", fcntl.ioctl(any_socket.fileno(), SIOCGIFCONF, request))[0]
    found = {}
    for start in range(0, size, IFREQ_BYTES):
        entry = buffer[start : start + IFREQ_BYTES].tobytes()
        # A second address may have a label of its own after a colon.
        name = entry[:NAME_BYTES].split(b"\0")[0].decode().split(":")[0]
        found[socket.inet_ntoa(entry[NAME_BYTES + 4 : NAME_BYTES + 8])] = name
    return found


def ipv6_interfaces(table: str = "/proc/net/if_inet6") -> dict[str, str]:
    """The interface of each IPv6 address."""
    try:
        with open(table, encoding="utf-8") as file:
            lines = [line.split() for line in file]
    except OSError:
        return {}
    return {str(ipaddress.IPv6Address(bytes.fromhex(line[0]))): line[5] for line in lines}


def interface_of(address: str) -> str:
    """The interface that has the address; nothing where none has it."""
    wanted = ipaddress.ip_address(address)
    if wanted.is_loopback:
        # All of 127.0.0.0/8 is there, and only 127.0.0.1 is listed.
        return "lo"
    return (ipv4_interfaces() if wanted.version == 4 else ipv6_interfaces()).get(str(wanted), "")


def is_real(interface: str, network: str = NETWORK) -> bool:
    """Whether a device is behind the interface, be it through a bond, a bridge or a VLAN."""
    folder = os.path.join(network, interface)
    lower = [os.path.basename(path).split("_", 1)[1] for path in glob.glob(folder + "/lower_*")]
    return os.path.exists(folder + "/device") or any(is_real(name, network) for name in lower)


def speed_mbit_s(interface: str, network: str = NETWORK) -> tuple[int | None, str | None]:
    """Speed of the link in Mbit/s, or why there is none."""
    if interface == "lo":
        return None, "loopback has no link"
    if not is_real(interface, network):
        return None, "%s is virtual: what it says of its speed means nothing" % interface
    try:
        with open(os.path.join(network, interface, "speed"), encoding="utf-8") as file:
            speed = int(file.read())
    except (OSError, ValueError):
        speed = -1
    return (speed, None) if speed > 0 else (None, "the driver of %s does not say" % interface)


def link_of(address: str) -> dict:
    """Interface and speed of the link that carries the address, or why they are not known."""
    if not (interface := interface_of(address)):
        return {
            "interface": None,
            "speed_mbit_s": None,
            "absent_because": "no interface has %s" % address,
        }
    speed, why = speed_mbit_s(interface)
    return {"interface": interface, "speed_mbit_s": speed, "absent_because": why}
