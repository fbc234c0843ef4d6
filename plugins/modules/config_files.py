#!/usr/bin/python
"""Directories and small text files, made or removed, all in one round trip.

``file`` and ``template`` for each would take a dozen trips a host, which on a small machine is most of a play's time.
Files are replaced as a whole, by rename.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import stat

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testbed_marks import MARK, TEXT, foreign_files, marked

DOCUMENTATION = r"""
module: config_files
short_description: Make directories and write small text files
options:
  directories:
    type: list
    elements: dict
    default: []
    description:
      - Each with path, and optionally mode and owner.
      - With mark, one that is made or found empty gets a file by which remove_testbed knows that it is ours, unless it
        lies in a directory that has one.
  files:
    type: list
    elements: dict
    default: []
    description: >-
      Each with path and content (what is no text is written as JSON), and optionally mode, owner, and secret (no
      diff is shown).
  absent:
    type: list
    elements: path
    default: []
    description: Files and whole directories to remove.
"""


def ids(owner: str) -> tuple[int, int] | None:
    """User and group of an account, or nothing for the one that we are (or where it does not exist yet)."""
    if not owner:
        return None
    try:
        return pwd.getpwnam(owner).pw_uid, grp.getgrnam(owner).gr_gid
    except KeyError:
        return None


def attributes(path: str, mode: str, owner: str, dry: bool) -> bool:
    """Set mode and owner; whether they were different."""
    status = os.lstat(path)
    wanted = ids(owner)
    changed = stat.S_IMODE(status.st_mode) != int(mode, 8)
    if changed and not dry:
        os.chmod(path, int(mode, 8))
    if wanted and (status.st_uid, status.st_gid) != wanted:
        changed = True
        if not dry:
            os.chown(path, *wanted)
    return changed


def directory(entry: dict, dry: bool) -> bool:
    """Make one directory with its parents; whether anything changed."""
    path = entry["path"]
    there = os.path.isdir(path)
    if not there and dry:
        return True
    os.makedirs(path, 0o755, exist_ok=True)
    changed = attributes(path, entry.get("mode") or "0755", entry.get("owner") or "", dry)
    if entry.get("mark") and not marked(path) and not foreign_files(path):
        changed = True
        if not dry:
            with open(os.path.join(path, MARK), "w", encoding="utf-8") as file:
                file.write(TEXT)
    return changed or not there


def text_file(entry: dict, dry: bool) -> tuple[bool, dict | None]:
    """Write one file where it differs; whether anything changed, and how the content did."""
    path, content = entry["path"], entry["content"]
    if not isinstance(content, str):
        # Templating may turn a text that looks like JSON into what it says.
        content = json.dumps(content, indent=1) + "\n"
    mode, owner = entry.get("mode") or "0644", entry.get("owner") or ""
    try:
        with open(path, encoding="utf-8") as file:
            before = file.read()
    except OSError:
        before = None
    if before == content:
        return attributes(path, mode, owner, dry), None
    if not dry:
        temporary = path + ".new"
        with open(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(content)
        attributes(temporary, mode, owner, False)
        os.replace(temporary, path)
    if entry.get("secret"):
        return True, None
    return True, {
        "before": before or "",
        "after": content,
        "before_header": path,
        "after_header": path,
    }


def remove(path: str, dry: bool) -> bool:
    """Remove a file or a whole directory; whether it was there."""
    if not os.path.lexists(path):
        return False
    if not dry:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)
    return True


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directories": {"type": "list", "elements": "dict", "default": []},
            "files": {"type": "list", "elements": "dict", "default": []},
            "absent": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    changed, diffs = [], []
    try:
        for entry in module.params["directories"]:
            if directory(entry, module.check_mode):
                changed.append(entry["path"])
        for entry in module.params["files"]:
            different, diff = text_file(entry, module.check_mode)
            if different:
                changed.append(entry["path"])
            if diff:
                diffs.append(diff)
        changed += [path for path in module.params["absent"] if remove(path, module.check_mode)]
    except OSError as error:
        module.fail_json(msg=str(error), changed=bool(changed))
    module.exit_json(changed=bool(changed), paths=changed, diff=diffs)


if __name__ == "__main__":
    main()
