import io
import os
import tarfile

import pytest
import unpack_fixtures
import zstandard


def pack(archive, members):
    """Members: a name, and text for a file, a tuple of one path for a link, None for a directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, tuple):
                member.type, member.linkname = tarfile.SYMTYPE, *content
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content.encode()) if isinstance(content, str) else None)
    archive.write_bytes(zstandard.compress(buffer.getvalue()))


@pytest.fixture
def directories(tmp_path):
    source, destination = tmp_path / "data", tmp_path / "build" / "fixtures"
    source.mkdir()
    pack(source / "a.tar.zst", {"a/db/t/_txn": "1", "a/db/link": ("t",), "a/db/loop": ("loop",), "a/none": None})
    pack(source / "b.tar.zst", {"b/case.json": "{}"})
    return source, destination


def test_unpacks_once_and_again_what_changed(directories, capsys):
    source, destination = directories
    unpack_fixtures.main(source, destination)
    assert "2 cases, 2 unpacked, 0 removed" in capsys.readouterr().out
    assert (destination / "a/db/t/_txn").read_text() == "1"
    assert os.readlink(destination / "a/db/link") == "t"
    assert os.readlink(destination / "a/db/loop") == "loop"
    assert list((destination / "a/none").iterdir()) == []
    assert sorted(path.name for path in destination.parent.iterdir()) == ["fixtures"]

    unpack_fixtures.main(source, destination)
    assert "2 cases, 0 unpacked, 0 removed" in capsys.readouterr().out

    pack(source / "a.tar.zst", {"a/db/t/_txn": "2"})
    (source / "b.tar.zst").unlink()
    (destination / "not_ours").mkdir()
    unpack_fixtures.main(source, destination)
    assert "1 cases, 1 unpacked, 1 removed" in capsys.readouterr().out
    assert (destination / "a/db/t/_txn").read_text() == "2"
    assert not (destination / "a/none").exists()
    assert sorted(path.name for path in destination.iterdir()) == ["a", "not_ours"]


@pytest.mark.parametrize("name", ["../outside", "b/inside"])
def test_refuses_an_archive_of_something_else(directories, name):
    source, destination = directories
    pack(source / "a.tar.zst", {name: "x"})
    with pytest.raises((ValueError, tarfile.TarError)):
        unpack_fixtures.main(source, destination)
    assert not (destination / "a").exists()
    assert not (destination.parent / "outside").exists()


def test_holes_stay_holes(directories, tmp_path):
    source, destination = directories
    (tmp_path / "a").mkdir()
    with open(tmp_path / "a/sparse", "wb") as file:
        file.truncate(64 << 20)
        file.write(b"start")
    os.system(f"cd {tmp_path} && tar --sparse -cf a.tar a 2>/dev/null")
    if not (tmp_path / "a.tar").exists():
        pytest.skip("needs GNU tar")
    (source / "a.tar.zst").write_bytes(zstandard.compress((tmp_path / "a.tar").read_bytes()))
    unpack_fixtures.main(source, destination)
    unpacked = (destination / "a/sparse").stat()
    assert unpacked.st_size == 64 << 20
    assert unpacked.st_blocks * 512 < 1 << 20
