#!/usr/bin/env python3
"""Computes the content root of the files in a tar archive, from the specification alone.

Usage: content_root.py ARCHIVE.tar
"""

import hashlib
import sys
import tarfile

KIND_BLOB, KIND_FOLDER = 1, 2


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def blob(content: bytes) -> bytes:
    return hashlib.sha256(b"notp.blob.v1\0" + len(content).to_bytes(8, "big") + content).digest()


def tree(folder: dict) -> bytes:
    out = hashlib.sha256(b"notp.tree.v1\0")
    for name in sorted(folder):
        entry = folder[name]
        is_folder = isinstance(entry, dict)
        out.update(bytes([KIND_FOLDER if is_folder else KIND_BLOB]) + varint(len(name)) + name)
        out.update(tree(entry) if is_folder else entry)
    return out.digest()


def main(archive: str) -> None:
    root: dict = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                *folders, name = member.name.encode().split(b"/")
                folder = root
                for part in folders:
                    folder = folder.setdefault(part, {})
                folder[name] = blob(tar.extractfile(member).read())
    print(tree(root).hex())


if __name__ == "__main__":
    main(sys.argv[1])
