#!/usr/bin/python
"""Bring settings of the kernel to the wanted values, now and for the next boot, and say which the machine refused.

A container shares its host's kernel and may not set most of them: a refusal is reported and is no failure.
"""

from __future__ import annotations

import os
import resource

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: kernel_settings
short_description: Apply settings of sysctl and report each as set, already set or refused
description: >-
  Sets the fact C(lifelog_kernel_settings): of each kind the names, with the value in force or the reason of the
  refusal. A refusal is no change. A name whose last part contains C(max) is an upper limit: a larger present value
  is left as it is.
options:
  settings: {type: dict, required: true, description: Names and values as sysctl writes them.}
  file: {type: path, default: /etc/sysctl.d/90-lifelog.conf, description: What the next boot reads; replaced as a whole.}
  open_files: {type: int, description: Files that one process must be able to open; only reported.}
"""

SYSCTL = "/proc/sys"
HEADER = "# Written by Ansible.\n"


def words(value: object) -> str:
    """A value with single blanks, as sysctl writes it; the kernel writes tabs."""
    return " ".join(str(value).split())


def value_of(path: str) -> str:
    """The value in force."""
    with open(path, encoding="utf-8") as file:
        return words(file.read())


def is_upper_limit(name: str) -> bool:
    """Whether a larger value is as good."""
    return "max" in name.rsplit(".", 1)[-1]


def suffices(name: str, present: str, wanted: str) -> bool:
    """Whether the present value can stay."""
    if is_upper_limit(name) and present.isdigit() and wanted.isdigit():
        return int(present) >= int(wanted)
    return present == wanted


def reason(error: OSError) -> str:
    """Why the kernel said no."""
    if isinstance(error, FileNotFoundError):
        return "this kernel does not have it here"
    text = os.strerror(error.errno) if error.errno else str(error)
    return text[:1].lower() + text[1:]


def apply(settings: dict, dry: bool, root: str = SYSCTL) -> tuple[dict, dict, dict]:
    """Set what differs.

    Returns the report (``set`` and ``already_set`` with values, ``refused`` with reasons), and the values before and
    after of what was not refused.
    """
    report: dict = {"set": {}, "already_set": {}, "refused": {}}
    before, after = {}, {}
    for name, value in sorted(settings.items()):
        path, wanted = os.path.join(root, name.replace(".", "/")), words(value)
        try:
            present = value_of(path)
            if suffices(name, present, wanted):
                report["already_set"][name] = before[name] = after[name] = present
                continue
            # Opening it for writing already tells whether we may, and changes nothing.
            descriptor = os.open(path, os.O_WRONLY)
            try:
                if not dry:
                    os.write(descriptor, (wanted + "\n").encode())
            finally:
                os.close(descriptor)
            if not dry and (now := value_of(path)) != wanted:
                report["refused"][name] = "the kernel makes it %s" % now
                continue
        except OSError as error:
            report["refused"][name] = reason(error)
            continue
        report["set"][name] = after[name] = wanted
        before[name] = present
    return report, before, after


def text(values: dict) -> str:
    """Settings as a file for sysctl."""
    return "".join("%s = %s\n" % entry for entry in sorted(values.items()))


def keep(path: str, values: dict, dry: bool) -> dict | None:
    """Make the file hold exactly these values, and remove it where there are none; how it differed, if it did."""
    try:
        with open(path, encoding="utf-8") as file:
            before = file.read()
    except FileNotFoundError:
        before = ""
    content = HEADER + text(values) if values else ""
    if before == content:
        return None
    if not dry:
        if content:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            temporary = path + ".new"
            with open(temporary, "w", encoding="utf-8") as file:
                file.write(content)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        else:
            os.remove(path)
    return {"before": before, "after": content, "before_header": path, "after_header": path}


def open_files(wanted: int) -> tuple[str, str]:
    """How the limit of open files is reported, and the value or the reason: ``set`` is what each unit does itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return "already_set", "infinity" if hard == resource.RLIM_INFINITY else str(hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, wanted))
    except (ValueError, OSError) as error:
        return "refused", "more than %d: %s" % (hard, error)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return "set", str(wanted)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "file": {"type": "path", "default": "/etc/sysctl.d/90-lifelog.conf"},
            "open_files": {"type": "int"},
        },
        supports_check_mode=True,
    )
    dry = module.check_mode
    report, before, after = apply(module.params["settings"], dry)
    diffs = []
    if report["set"]:
        header = "settings in force"
        diffs.append(
            {
                "before": text(before),
                "after": text(after),
                "before_header": header,
                "after_header": header,
            }
        )
    try:
        # Also what was right already: it must not depend on who set it until the next boot.
        if diff := keep(module.params["file"], after, dry):
            diffs.append(diff)
    except OSError as error:
        module.fail_json(msg=str(error), changed=bool(report["set"]))
    if wanted := module.params["open_files"]:
        kind, value = open_files(wanted)
        report[kind]["LimitNOFILE"] = value
    module.exit_json(
        changed=bool(diffs), diff=diffs, ansible_facts={"lifelog_kernel_settings": report}
    )


if __name__ == "__main__":
    main()
