"""Writing files whole: what cannot be written is an error about the path that was given."""

import errno
import os

import pytest

from wengert.storage import write_text


def left_in(folder):
    return sorted(os.listdir(folder))


def test_text_takes_the_place_of_what_was_there(tmp_path):
    path = tmp_path / "a.py"
    assert write_text(path, "one\n") == path
    write_text(str(path), "two\n")
    assert path.read_text(encoding="utf-8") == "two\n"
    assert left_in(tmp_path) == ["a.py"]


@pytest.mark.parametrize(
    ("given", "error", "number"),
    [
        ("missing/a.py", FileNotFoundError, errno.ENOENT),
        ("", FileNotFoundError, errno.ENOENT),
        ("folder", IsADirectoryError, errno.EISDIR),
        (".", IsADirectoryError, errno.EISDIR),
        ("file/a.py", NotADirectoryError, errno.ENOTDIR),
        ("n" * 300, OSError, errno.ENAMETOOLONG),
    ],
)
def test_what_cannot_be_written_is_an_error_about_the_path_given(
    tmp_path, monkeypatch, given, error, number
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    with pytest.raises(error) as caught:
        write_text(given, "text")
    assert (caught.value.errno, caught.value.filename) == (number, given)
    assert ".partial" not in str(caught.value)
    assert left_in(tmp_path) == ["file", "folder"]
    assert not list(tmp_path.parent.glob(".*.partial"))


def test_a_failure_on_the_way_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.py"
    path.write_text("old", encoding="utf-8")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        write_text(path, "new")
    assert caught.value.filename == str(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert left_in(tmp_path) == ["a.py"]
