#!/usr/bin/python
"""Remove what the testbed made, and nothing that it cannot prove to be its own.

A directory goes only where config_files left its mark when it made it, or where ``proof`` names a file that only ours
hold. A mistaken or empty variable removes nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testbed_marks import MARK, foreign_files

DOCUMENTATION = r"""
module: remove_testbed
short_description: Remove directories and files of the testbed
options:
  directories:
    type: list
    elements: dict
    default: []
    description: Each with path, variable for messages, and optionally proof, a file that shows that it is ours.
  files: {type: list, elements: path, default: [], description: Single files to remove.}
  parents: {type: list, elements: path, default: [], description: Directories to remove if they are empty then.}
"""


def refusal(path: str, variable: str, proof: str = "") -> str:
    """Why the directory is not one to remove; nothing where it is, or is not there."""
    if not path:
        return "%s is empty: set it to the directory that was installed" % variable
    if not os.path.isabs(path):
        return "%s is %s, which is not an absolute path: correct it" % (variable, path)
    if proof and os.path.exists(os.path.join(path, proof)):
        return ""
    if foreign := foreign_files(path):
        return (
            "%s is %s, which the testbed did not make and which holds %s: correct it, or remove the directory by hand"
            % (variable, path, ", ".join(foreign[:3]))
        )
    return ""


def stays(path: str) -> bool:
    """Whether the directory is only emptied: a mount point, or the target of a link, which we did not make."""
    return os.path.islink(path) or os.path.ismount(path)


def remove_directory(path: str, proof: str) -> None:
    """Empty a directory and remove it; the proof goes last, so that a second try finds it after a failure."""
    for name in sorted(os.listdir(path), key=lambda name: name == proof):
        inner = os.path.join(path, name)
        if name == "lost+found":
            continue
        if os.path.isdir(inner) and not os.path.islink(inner):
            shutil.rmtree(inner)
        else:
            os.unlink(inner)
    if not stays(path):
        os.rmdir(path)


def remove(directories: list[dict], files: list[str], parents: list[str], dry: bool) -> list[str]:
    """Remove what there is of these; what was (or would be) removed."""
    removed = []
    for entry in directories:
        path = entry["path"]
        if os.path.isdir(path) and (not stays(path) or set(os.listdir(path)) - {"lost+found"}):
            removed.append(path)
            if not dry:
                remove_directory(path, entry.get("proof") or MARK)
    for path in files:
        if os.path.lexists(path):
            removed.append(path)
            if not dry:
                os.unlink(path)
    for path in parents:
        if not dry and os.path.isdir(path) and not os.listdir(path) and not stays(path):
            with contextlib.suppress(PermissionError):
                os.rmdir(path)
                removed.append(path)
    return removed


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directories": {"type": "list", "elements": "dict", "default": []},
            "files": {"type": "list", "elements": "path", "default": []},
            "parents": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    wanted = module.params["directories"]
    if problems := [problem for entry in wanted if (problem := refusal(**entry))]:
        module.fail_json(msg="nothing was removed: " + "; ".join(problems))
    try:
        removed = remove(
            wanted, module.params["files"], module.params["parents"], module.check_mode
        )
    except OSError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(removed), removed=removed)


if __name__ == "__main__":
    main()
