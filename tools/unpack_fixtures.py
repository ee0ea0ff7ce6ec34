"""Unpacks test/data/*.tar.zst to build/fixtures/<case>/, only what is new or changed.

A case appears under its name in one rename and carries the hash of its archive: a directory that is there is complete,
and whether it is current can be told without comparing files. Holes stay holes and links stay links.

    unpack_fixtures.py test/data build/fixtures
"""

import hashlib
import pathlib
import shutil
import sys
import tarfile
import tempfile

import zstandard

SUFFIX = ".tar.zst"
STAMP = ".archive-sha256"


def unpack(archive, target):
    """Puts the one directory that the archive holds in the target's place."""
    # Beside the target's parent: a rename works within one file system only, and tests list that parent.
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=target.parent.parent) as scratch:
        unpacked = pathlib.Path(scratch, target.name)
        with archive.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as plain:
            with tarfile.open(fileobj=plain, mode="r|") as members:
                members.extractall(scratch, filter="data")  # refuses what would land outside
        if [unpacked] != list(unpacked.parent.iterdir()):
            raise ValueError(f"{archive} must hold one directory, {target.name}")
        (unpacked / STAMP).write_text(digest(archive))
        if target.exists():
            target.rename(pathlib.Path(scratch, ".old"))
        unpacked.rename(target)


def digest(archive):
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def is_current(archive, target):
    stamp = target / STAMP
    return stamp.is_file() and stamp.read_text() == digest(archive)


def main(source, destination):
    archives = {path.name.removesuffix(SUFFIX): path for path in sorted(source.glob("*" + SUFFIX))}
    if not archives:
        raise SystemExit(f"unpack_fixtures: no *{SUFFIX} in {source}")
    destination.mkdir(parents=True, exist_ok=True)
    stale = [name for name, archive in archives.items() if not is_current(archive, destination / name)]
    for name in stale:
        unpack(archives[name], destination / name)
    removed = [stamp.parent for stamp in destination.glob(f"*/{STAMP}") if stamp.parent.name not in archives]
    for directory in removed:
        shutil.rmtree(directory)
    print(f"{destination}: {len(archives)} cases, {len(stale)} unpacked, {len(removed)} removed")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
