"""Builds what the machines of the lab boot from: a bare system, and a layer of packages above it.

Run as root by the role; every directory appears under its name only once it is complete.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path

# What a machine needs to boot, to be reached and to be driven by Ansible, and no more.
BARE = "systemd,systemd-sysv,dbus,openssh-server,python3,iproute2,iputils-ping,ca-certificates,sudo"
# Nothing in a lab machine downloads by itself.
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "console-getty.service")
OPERATOR = "ops"


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


def unmounted(path: Path) -> None:
    """Unmount what an interrupted build has left mounted there."""
    while subprocess.run(["mountpoint", "-q", str(path)], check=False).returncode == 0:
        run("umount", str(path))


def clean(root: Path) -> None:
    """Remove what only one machine may have, and what only fills the disk."""
    for pattern in ("etc/ssh/ssh_host_*", "var/cache/apt/archives/*.deb", "var/lib/apt/lists/*"):
        for path in root.glob(pattern):
            if path.is_file():
                path.unlink()
    (root / "etc/machine-id").write_text("")


def bare(target: Path, release: str) -> None:
    """Bootstrap a release of Debian or Ubuntu with systemd, sshd, Python, and an account that may become root."""
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    run("debootstrap", "--variant=minbase", f"--include={BARE}", release, str(partial))
    run("chroot", str(partial), "useradd", "--create-home", "--shell", "/bin/bash", OPERATOR)
    (partial / "etc/sudoers.d/ops").write_text(f"{OPERATOR} ALL=(ALL) NOPASSWD: ALL\n")
    (partial / "etc/ssh/sshd_config.d/lab.conf").write_text(
        "PermitRootLogin no\nPasswordAuthentication no\nUseDNS no\n"
    )
    for unit in MASKED:
        (partial / "etc/systemd/system" / unit).symlink_to("/dev/null")
    clean(partial)
    partial.rename(target)


def packages(target: Path, base: Path, names: list[str]) -> None:
    """Install packages in a layer above a bare system."""
    partial, work, root = (
        target.with_name(target.name + end) for end in (".partial", ".work", ".root")
    )
    unmounted(root)
    for folder in (partial, work, root):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    run("mount", "-t", "overlay", "lifelog-lab-image",
        "-o", f"lowerdir={base},upperdir={partial},workdir={work}", str(root))  # fmt: skip
    try:
        script = (
            "export DEBIAN_FRONTEND=noninteractive; apt-get update"
            f" && apt-get install --yes --no-install-recommends {' '.join(names)}"
        )
        run("systemd-nspawn", "--quiet", f"--directory={root}", "--register=no", "--keep-unit", "--as-pid2",
            "--pipe", "sh", "-c", script)  # fmt: skip
        clean(root)
    finally:
        unmounted(root)
    root.rmdir()
    shutil.rmtree(work)
    partial.rename(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path)
    parser.add_argument("--release", help="bootstrap this release")
    parser.add_argument("--base", type=Path, help="install packages above this bare system")
    parser.add_argument("--packages", nargs="*", default=[])
    options = parser.parse_args()
    if options.release:
        bare(options.target, options.release)
    else:
        packages(options.target, options.base, options.packages)


if __name__ == "__main__":
    main()
