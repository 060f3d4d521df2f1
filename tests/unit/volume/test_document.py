"""Editing one entry leaves everything else byte for byte."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dmsinit.volume.document import Document
from dmsinit.volume.parse import split_key

NAME = "postfix-virtual.cf"
LINES = st.lists(
    st.one_of(
        st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")),
        st.sampled_from([b"# comment", b"", b"  continued@x.test", b"a@x.test b@x.test,", b"c@x.test d@x.test\r"]),
    ),
    max_size=8,
)
DATA = st.builds(lambda lines, end: b"\n".join(lines) + end, LINES, st.sampled_from([b"", b"\n"]))


def open_document(directory: Path) -> Document:
    return Document(directory, NAME, lambda text: split_key(text)[0], continued=True)


@given(DATA)
def test_adding_and_deleting_an_entry_restores_the_file(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, NAME)
        path.write_bytes(data)
        document = open_document(Path(place))
        document.append("new@hill.test anna@hill.test")
        assert document.save()
        written = path.read_bytes()
        assert written.startswith(data)
        assert open_document(Path(place)).find("NEW@hill.test")[0].text == "new@hill.test anna@hill.test"
        document = open_document(Path(place))
        assert document.discard("new@hill.test")
        assert document.save()
        # Only a final newline that was missing may be new.
        assert path.read_bytes().removeprefix(data) in (b"", b"\n", b"\r\n")


@given(DATA, st.data())
def test_replacing_or_removing_an_entry_touches_its_own_lines_only(data: bytes, choice: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, NAME)
        path.write_bytes(data)
        document = open_document(Path(place))
        entries = document.entries()
        if not entries:
            assert not document.save()
            return
        entry = choice.draw(st.sampled_from(entries))
        lines = data.split(b"\n")
        others = [line for number, line in enumerate(lines) if number not in entry.lines]
        if choice.draw(st.booleans()):
            document.replace(entry, "replaced@x.test y@x.test")
            mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") and entry.lines[0] == 0 else b""
            ending = b"\r" if lines[entry.lines[0]].endswith(b"\r") and entry.lines[0] < len(lines) - 1 else b""
            if len(lines) - 1 in entry.lines[1:]:
                others.append(b"")
            others.insert(entry.lines[0], mark + b"replaced@x.test y@x.test" + ending)
        elif entry.lines[0] == 0:
            return
        else:
            document.remove(entry)
            if entry.lines[-1] == len(lines) - 1:
                others.append(b"")
        document.save()
        assert path.read_bytes() == b"\n".join(others)


def test_an_unchanged_document_is_not_written(tmp_path: Path) -> None:
    document = open_document(tmp_path)
    assert not document.discard("nobody@x.test")
    assert not document.save()
    assert not (tmp_path / NAME).exists()


def test_windows_line_endings_are_kept(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"\xef\xbb\xbfa@x.test b@x.test\r\nc@x.test d@x.test\r\n")
    document = open_document(tmp_path)
    document.append("e@x.test f@x.test")
    document.set("a@x.test", "a@x.test z@x.test")
    document.save()
    expected = b"\xef\xbb\xbfa@x.test z@x.test\r\nc@x.test d@x.test\r\ne@x.test f@x.test\r\n"
    assert (tmp_path / NAME).read_bytes() == expected
