"""XML that is broken, damaged or meant to do harm."""

from __future__ import annotations

import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn.data.formats import open_data
from crnn.errors import DataError, MissingExtra

pytest.importorskip("lxml")

PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<PcGts><Page imageFilename="p.png" imageWidth="100" imageHeight="200"><TextRegion id="r"><TextLine id="l1">
<Coords points="10,20 90,20 90,40 10,40"/><Baseline points="10,35 90,35"/>
<TextEquiv index="0"><Unicode>one</Unicode></TextEquiv></TextLine></TextRegion></Page></PcGts>
"""
ALTO = """<?xml version="1.0" encoding="UTF-8"?>
<alto><Description><MeasurementUnit>pixel</MeasurementUnit><sourceImageInformation><fileName>p.png</fileName>
</sourceImageInformation></Description><Layout><Page WIDTH="100" HEIGHT="200"><TextLine ID="l1" HPOS="10" VPOS="20"
WIDTH="80" HEIGHT="20"><Shape><Polygon POINTS="10,20 90,20 90,40"/></Shape><String CONTENT="one"/></TextLine></Page>
</Layout></alto>
"""


@pytest.fixture(autouse=True)
def page_picture(picture):
    picture("p.png", (100, 200))


def with_doctype(doctype: str, text: str = PAGE) -> str:
    return text.replace("<PcGts>", f"<!DOCTYPE PcGts {doctype}><PcGts>")


def test_broken_xml_is_left_out(tmp_path, file):
    file("a.xml", PAGE)
    file("b.xml", PAGE[:300])
    file("c.xml", PAGE.replace("<Page", "<Pag").replace("</Page", "</Pag"))
    left_out = []
    assert [s.id for s in open_data(tmp_path, left_out=left_out)] == ["a.xml#l1"]
    assert "b.xml: is broken XML (" in str(left_out[0])
    assert "c.xml: has no Page" in str(left_out[1])


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "UTF-7"])
@pytest.mark.parametrize("where", [">one<", '"l1"', "nowhere"])
def test_entity_bombs_are_refused(file, encoding, where):
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 30))
    text = PAGE.replace(where, f"{where[0]}&a29;{where[-1]}")
    bomb = with_doctype(f"[{entities}]", text).replace("UTF-8", encoding)
    with pytest.raises(DataError, match=r"defines entities|is broken XML"):
        open_data(file("a.xml", bomb.encode(encoding)), "page")


def test_outside_entities_and_dtds_are_not_read(file):
    secret = file("secret.txt", "secret").as_uri()
    with pytest.raises(DataError, match="defines entities"):
        open_data(file("a.xml", with_doctype(f'[<!ENTITY x SYSTEM "{secret}">]', PAGE.replace(">one<", ">&x;<"))))
    dtd = file("x.dtd", f'<!ENTITY x SYSTEM "{secret}">').as_uri()
    (sample,) = open_data(file("a.xml", with_doctype(f'SYSTEM "{dtd}"')))
    assert sample.y == "one"
    left_out = []
    unknown = file("a.xml", with_doctype(f'SYSTEM "{dtd}"', PAGE.replace(">one<", ">&x;<")))
    with suppress(DataError):
        (sample,) = open_data(unknown, left_out=left_out)
        assert "secret" not in (sample.y or "")


def test_without_lxml_the_extra_is_named(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "lxml", None)
    with pytest.raises(MissingExtra, match=r"crnn\[ocr\]"):
        open_data(file("a.xml", PAGE))


@settings(max_examples=80, deadline=None)
@given(st.data())
@pytest.mark.parametrize("whole", [PAGE, ALTO], ids=["page", "alto"])
def test_damaged_xml_is_read_or_refused_by_a_sentence(tmp_path_factory, whole, data):
    folder = tmp_path_factory.mktemp("damaged")
    at, length = data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, 20))
    damage = data.draw(st.binary(max_size=8) | st.sampled_from([b"", b"-1", b"1e400", b"nan", b"<!--", b"&lt;", b"\0"]))
    (folder / "a.xml").write_bytes(whole[:at].encode() + damage + whole[at + length :].encode())
    Image.new("L", (100, 200)).save(folder / "a.png")
    for name in ("auto", "page", "alto"):
        with suppress(DataError):
            for sample in open_data(folder / "a.xml", name, []):
                assert all(0 <= x <= 100 and 0 <= y <= 200 for x, y in sample.x.polygon)
