"""PAGE XML: reading, and writing what was recognised."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
from PIL import Image

from crnn.data.formats import open_data, page
from crnn.errors import DataError
from crnn.types import Prediction, Region

etree = pytest.importorskip("lxml.etree")

YEARS = ["2010-03-19", "2013-07-15", "2019-07-15"]
COORDS = '<Coords points="10,20 90,20 90,40 10,40"/>'
BOX = ((10, 20), (90, 20), (90, 40), (10, 40))


def pagexml(lines: str, *, image: str = "p.png", size: tuple[int, int] = (100, 200), year: str = "2019-07-15") -> str:
    space = f"http://schema.primaresearch.org/PAGE/gts/pagecontent/{year}"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- kept -->
<PcGts xmlns="{space}"><Metadata><Creator>x</Creator></Metadata>
  <Page imageFilename="{image}" imageWidth="{size[0]}" imageHeight="{size[1]}">
    <TextRegion id="r"><Coords points="0,0 99,0 99,99"/>
      {lines}
    </TextRegion>
  </Page>
</PcGts>
"""


def line(inner: str, line_id: str = "l1", coords: str = COORDS) -> str:
    return f'<TextLine id="{line_id}" custom="kept">{coords}{inner}</TextLine>'


def equiv(text: str, attributes: str = "") -> str:
    return f"<TextEquiv {attributes}><PlainText>plain</PlainText><Unicode>{text}</Unicode></TextEquiv>"


@pytest.fixture(autouse=True)
def page_picture(picture):
    return picture("p.png", (100, 200))


def only(path: Path):
    (sample,) = open_data(path)
    return sample


@pytest.mark.parametrize("year", YEARS)
def test_lines_of_every_year(tmp_path, file, page_picture, year):
    path = file("sub/page_1.xml", pagexml(line(equiv("Grüße")) + line("", "l2"), image="../p.png", year=year))
    path = path.rename(tmp_path / "page_1.xml")
    path.write_text(path.read_text().replace("../p.png", "p.png"))
    first, second = open_data(tmp_path)
    assert (first.id, first.y, first.group, first.split) == ("page_1.xml#l1", "Grüße", "page_1", None)
    assert first.x == Region(page_picture, BOX)
    assert (second.id, second.y) == ("page_1.xml#l2", None)
    assert open_data(path)[0].id == "page_1.xml#l1"


def test_points_as_elements(file):
    points = "".join(f'<Point x="{x}" y="{y}"/>' for x, y in BOX)
    path = file("a.xml", pagexml(line(equiv("one"), coords=f"<Coords>{points}</Coords>"), year=YEARS[0]))
    assert only(path).x.polygon == BOX


def test_prefixed_names_and_utf_16(tmp_path, file):
    text = pagexml(line(equiv("one"))).replace("xmlns=", "xmlns:pc=").replace("UTF-8", "UTF-16")
    for name in ("PcGts", "Page", "TextRegion", "TextLine", "Coords", "TextEquiv", "Unicode"):
        text = text.replace(f"<{name}", f"<pc:{name}").replace(f"</{name}", f"</pc:{name}")
    file("a.xml", text.encode("utf-16"))
    assert only(tmp_path).y == "one"


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        (equiv("b", 'index="1"') + equiv("a", 'index="0"'), "a"),
        (equiv("b") + equiv("a", 'index="2"'), "a"),
        (equiv("b", 'index="x"') + equiv("a"), "b"),
        (equiv("\n   a  b \n"), "a  b"),
        (equiv(""), "plain"),
        ("<TextEquiv/>", None),
        (f"<Word id='w1'>{equiv('one')}</Word><Word id='w2'>{equiv('two')}</Word>", "one two"),
        (f"<Word id='w1'>{equiv('one')}</Word>{equiv('line')}", "line"),
    ],
)
def test_which_text_is_taken(file, inner, text):
    assert only(file("a.xml", pagexml(line(inner)))).y == text


@pytest.mark.parametrize("split", ["train", "val"])
def test_transkribus_keeps_xml_in_a_folder_beside_the_pictures(tmp_path, file, picture, split):
    image = picture(f"{split}/doc/0001.jpg", (100, 200))
    file(f"{split}/doc/page/0001.xml", pagexml(line(equiv("one")), image="0001.jpg"))
    file(f"{split}/doc/page/mets.xml", "<mets/>")
    sample = only(tmp_path)
    assert sample.id == f"{split}/doc/page/0001.xml#l1"
    assert os.path.samefile(sample.x.page, image)
    assert sample.split == {"train": "train", "val": "valid"}[split]


def test_a_picture_of_the_same_stem_serves(file, picture):
    image = picture("other.jpg", (100, 200))
    assert only(file("a.xml", pagexml(line(equiv("one")), image="other.tif"))).x.page == image
    image = picture("a.webp", (100, 200))
    assert only(file("a.xml", pagexml(line(equiv("one")), image="gone/x.tif"))).x.page == image


@pytest.mark.parametrize("name", ["/etc/hostname", "../../p.png", "C:\\p.png", "https://example.org/p.png"])
def test_a_picture_elsewhere_is_never_followed(tmp_path, file, picture, name):
    path = file("x/y/a.xml", pagexml(line(equiv("one")), image=name))
    with pytest.raises(DataError) as caught:
        open_data(path)
    assert f"a.xml: the path {name!r} " in str(caught.value)
    assert "page picture is not there; expected a.jpg (or .png, .tif ...) beside it" in str(caught.value)
    image = picture("x/y/a.png", (100, 200))  # a picture of that stem lies beside it
    assert only(path).x.page == image


def test_a_page_without_its_picture_is_left_out(tmp_path, file):
    file("a.xml", pagexml(line(equiv("one"))))
    file("b.xml", pagexml(line(equiv("one")), image="gone.png"))
    left_out = []
    assert [s.id for s in open_data(tmp_path, left_out=left_out)] == ["a.xml#l1"]
    assert str(left_out[0]).endswith(
        "its page picture is not there; expected gone.png beside it. Copy the picture there."
    )


@pytest.mark.parametrize(
    ("size", "polygon"),
    [
        ((200, 400), ((5, 10), (45, 10), (45, 20), (5, 20))),
        ((101, 201), BOX),
        ((0, 0), BOX),
        (("nan", "inf"), BOX),
    ],
)
def test_a_picture_scaled_since_keeps_its_outlines(file, size, polygon):
    assert only(file("a.xml", pagexml(line(equiv("one")), size=size))).x.polygon == polygon


def test_a_picture_of_another_shape_is_refused(file):
    with pytest.raises(DataError, match=r"speaks of a page of 200 x 100, but p.png has 100 x 200 pixels"):
        open_data(file("a.xml", pagexml(line(equiv("one")), size=(200, 100))))


def test_a_picture_turned_by_the_camera_counts_as_shown(file, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (200, 100)).save(tmp_path / "turned.jpg", exif=exif)
    assert only(file("a.xml", pagexml(line(equiv("one")), image="turned.jpg"))).x.polygon == BOX


def test_a_page_picture_that_is_none(file):
    file("p.png", b"no picture")
    with pytest.raises(DataError, match=r"p.png: is no picture"):
        open_data(file("a.xml", pagexml(line(equiv("one")))))


def test_a_baseline_serves_where_there_is_no_outline(file):
    """As high as the other lines are, a quarter of it below."""
    bare = line("<Baseline points='10,100 90,104'/>" + equiv("two"), "l2", coords="")
    sample = open_data(file("a.xml", pagexml(line(equiv("one")) + bare)))[1]
    assert sample.x.polygon == ((10, 85), (90, 89), (90, 109), (10, 105))


def test_baselines_alone_are_as_high_as_they_are_apart(file):
    found = open_data(
        file("a.xml", pagexml("".join(line(f"<Baseline points='0,{y} 99,{y}'/>", f"l{y}", "") for y in (60, 100, 140))))
    )
    assert [s.x.polygon[0][1] for s in found] == [30, 70, 110]
    single = only(file("a.xml", pagexml(line("<Baseline points='0,60 99,60'/>", coords=""))))
    assert single.x.polygon == ((0, 56.25), (99, 56.25), (99, 61.25), (0, 61.25))


def test_outlines_are_kept_on_the_picture(file):
    coords = '<Coords points="-5,-5 1e9,-5 300,40 -5,40"/>'
    assert only(file("a.xml", pagexml(line("", coords=coords)))).x.polygon == ((0, 0), (100, 0), (100, 40), (0, 40))


@pytest.mark.parametrize(
    ("coords", "says"),
    [
        ("", "has no outline; expected Coords or a Baseline"),
        ('<Coords points="1,2"/>', "has no outline"),
        ('<Coords points="1,2 3,4 5"/>', "has the points '1,2 3,4 5'"),
        ('<Coords points="1e999,2 3,4 5,6"/>', "has the points"),
        ('<Coords points="5,5 5,5 5,5"/>', "has an outline without area on the picture (100 x 200 pixels)"),
        ('<Coords points="500,5 600,5 600,50"/>', "has an outline without area on the picture"),
    ],
)
def test_a_line_without_outline_is_left_out(file, coords, says):
    path = file("a.xml", pagexml(line("", coords=coords) + line(equiv("two"), "l2")))
    left_out = []
    assert [s.y for s in open_data(path, left_out=left_out)] == ["two"]
    assert f"a.xml: line l1 {says}" in str(left_out[0])


def test_ids_are_made_unique(file):
    path = file("a.xml", pagexml(line("") + line("") + line("", "")))
    assert [s.id for s in open_data(path)] == ["a.xml#l1", "a.xml#l1~2", "a.xml#line3"]


# --- writing ----------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_again(tmp_path, file):
    source = file(
        "a.xml", pagexml(line(equiv("old") + equiv("older", "index='1'")) + line("", "l2") + line(equiv("kept"), "l3"))
    )
    before = source.read_bytes()
    target = tmp_path / "out.xml"
    page.write(
        source, {"l1": Prediction("a.xml#l1", "Grüße & <so>", 0.98765), "l2": Prediction("", "two", 2.0)}, target
    )
    assert [(s.id, s.y, s.x.polygon) for s in open_data(target)] == [
        ("out.xml#l1", "Grüße & <so>", BOX),
        ("out.xml#l2", "two", BOX),
        ("out.xml#l3", "kept", BOX),
    ]
    text = target.read_text(encoding="utf-8")
    assert text.count("<TextEquiv") == 3
    assert '<TextEquiv conf="0.9877"><Unicode>Grüße &amp; &lt;so&gt;</Unicode></TextEquiv>' in text
    assert '<TextEquiv conf="1.0000">' in text
    assert text.startswith("<?xml version='1.0' encoding='UTF-8'?>")
    assert "<!-- kept -->" in text and "<Creator>x</Creator>" in text and text.count('custom="kept"') == 3
    assert source.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.xml", "out.xml", "p.png"]


def test_the_schema_s_order_is_kept(tmp_path, file):
    behind = "<Baseline points='1,2 3,4'/><TextStyle/><UserDefined/>"
    page.write(file("a.xml", pagexml(line(behind))), {"l1": Prediction("", "one", math.nan)}, tmp_path / "a.xml")
    found = next(etree.parse(str(tmp_path / "a.xml")).iter("{*}TextLine"))
    assert [etree.QName(child).localname for child in found] == [
        *("Coords", "Baseline", "TextEquiv", "TextStyle", "UserDefined")
    ]
    assert not found.find("{*}TextEquiv").attrib


def test_words_and_regions_follow(tmp_path, file):
    word = f"<Word id='w'>{COORDS}<Glyph id='g'>{COORDS}{equiv('o')}</Glyph>{equiv('old')}</Word>"
    lines = line(word + word + equiv("old old")) + line(word + equiv("old"), "l2") + equiv("old old\nold")
    source = file("a.xml", pagexml(lines))
    page.write(source, {"l1": Prediction("", "new words", 0.5), "l2": Prediction("", "one more", 0.5)}, source)
    root = etree.parse(str(source)).getroot()
    assert [word.findtext("{*}TextEquiv/{*}Unicode") for word in root.iter("{*}Word")] == ["new", "words"]
    assert [word.find("{*}Coords") is not None for word in root.iter("{*}Word")] == [True, True]
    assert not list(root.iter("{*}Glyph"))
    assert root.findtext(".//{*}TextRegion/{*}TextEquiv/{*}Unicode") == "new words\none more"
    assert "old" not in source.read_text()


def test_letters_that_xml_cannot_hold(tmp_path, file):
    source = file("a.xml", pagexml(line("")))
    page.write(source, {"l1": Prediction("", "a\0b\ud800c\x1b", 0.5)}, source)
    assert only(source).y == "a\ufffdb\ufffdc\ufffd"


def test_an_unknown_line_is_refused_and_nothing_is_written(tmp_path, file):
    with pytest.raises(DataError, match=r"a.xml: has no line l7; expected the ids of its lines"):
        page.write(file("a.xml", pagexml(line(""))), {"l7": Prediction("", "x", 1)}, tmp_path / "out.xml")
    with pytest.raises(DataError, match="is XML of the kind alto; expected PcGts"):
        page.write(file("a.xml", "<alto/>"), {}, tmp_path / "out.xml")
    assert not (tmp_path / "out.xml").exists()


def test_a_failed_write_leaves_the_old_file(tmp_path, file, monkeypatch):
    source, target = file("a.xml", pagexml(line(""))), file("out.xml", "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DataError, match=r"out.xml: cannot be written \(No space left on device\)"):
        page.write(source, {"l1": Prediction("", "x", 1)}, target)
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.xml", "out.xml", "p.png"]
    with pytest.raises(DataError, match="cannot be written"):
        page.write(source, {"l1": Prediction("", "x", 1)}, tmp_path / "none" / "out.xml")
