import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.datasets.names import image_id, path_text, twins
from likeness.datasets.walk import MAX_DEPTH, find_files
from likeness.errors import InputError, NoImagesError

names = st.binary(min_size=1, max_size=12).filter(
    lambda name: b"/" not in name and b"\0" not in name
)


@given(names, names)
def test_different_names_have_different_texts(first, second):
    texts = path_text(os.fsdecode(first)), path_text(os.fsdecode(second))
    assert (first == second) == (texts[0] == texts[1])


@given(names)
def test_texts_can_be_shown_and_stored(name):
    text = path_text(os.fsdecode(name))
    text.encode("utf-8")
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text)
    assert "\n" not in text


@given(names, names, st.integers(0, 999), st.one_of(st.none(), names))
def test_a_slice_never_has_the_name_of_a_file(first, second, index, member):
    inside = None if member is None else os.fsdecode(member)
    slice_name = image_id(path_text(os.fsdecode(first)), member=inside, slice_index=index)
    assert slice_name != path_text(os.fsdecode(second))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("P1/a b.png", "P1/a b.png"),
        ("é<script>.png", "é<script>.png"),
        ("a\nb", r"a\u000ab"),
        ("a\udcffb", r"a\xffb"),
        ("a\\b", r"a\\b"),
        ("a#z001", r"a\#z001"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
    ],
)
def test_texts_of_odd_names(name, text):
    assert path_text(name) == text


def test_twins_are_names_in_two_unicode_forms():
    composed, decomposed = "\u00e9.png", "e\u0301.png"
    assert twins([composed, "x.png", decomposed]) == {composed: decomposed, decomposed: composed}
    assert twins(["a", "\u00e9"]) == {}


def test_every_entry_is_found_once(tmp_path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a.png").write_bytes(b"1")
    (root / "b.png").write_bytes(b"22")
    os.mkfifo(root / "pipe")
    (root / "loop").symlink_to(root)
    (root / "sub" / "up").symlink_to("..")
    (root / "dangling").symlink_to("nowhere")
    (root / "circle").symlink_to("circle")
    (tmp_path / "outside.png").write_bytes(b"3")
    (root / "out.png").symlink_to(tmp_path / "outside.png")
    (root / "again.png").symlink_to("b.png")
    found = find_files(root)
    assert [(file.text, file.num_bytes) for file in found.files] == [("b.png", 2), ("sub/a.png", 1)]
    assert {(item.path, item.code) for item in found.left_out} == {
        ("pipe", "not_a_file"),
        ("loop", "link"),
        ("sub/up", "link"),
        ("dangling", "dangling_link"),
        ("circle", "dangling_link"),
        ("out.png", "link_outside"),
        ("again.png", "link"),
    }
    assert found.num_found == 9


def test_the_order_is_that_of_the_bytes(tmp_path):
    for name in (b"b", b"a\xff", b"a/x", b"a.png", "é".encode(), b"Z"):
        path = tmp_path / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    texts = [file.text for file in find_files(tmp_path).files]
    assert texts == ["Z", "a.png", "a/x", r"a\xff", "b", "é"]


def test_the_order_does_not_depend_on_how_the_folder_is_named(tmp_path, monkeypatch):
    for name in ("ba", "ab", "c/a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    for root in (Path(), tmp_path, Path("../" + tmp_path.name)):
        assert [file.text for file in find_files(root).files] == ["ab", "ba", "c/a"]


def test_folders_are_entered_so_deep_and_no_deeper(tmp_path):
    folder = tmp_path
    for level in range(MAX_DEPTH + 1):
        (folder / "file").write_bytes(b"")
        folder = folder / f"d{level}"
        folder.mkdir()
    (folder / "file").write_bytes(b"")
    found = find_files(tmp_path)
    assert len(found.files) == MAX_DEPTH
    assert [item.code for item in found.left_out] == ["too_deep"]


def test_an_unreadable_folder_is_listed(tmp_path, monkeypatch):
    (tmp_path / "shut").mkdir()
    (tmp_path / "a").write_bytes(b"")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_files(tmp_path)
    assert [(item.path, item.code) for item in found.left_out] == [("shut", "unreadable")]


def test_nothing_to_list_is_an_error(tmp_path):
    with pytest.raises(NoImagesError, match="empty"):
        find_files(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        find_files(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="neither"):
        find_files(tmp_path / "pipe")


def test_one_file_is_a_source(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"12")
    assert [file.text for file in find_files(tmp_path / "a.npy").files] == ["a.npy"]
