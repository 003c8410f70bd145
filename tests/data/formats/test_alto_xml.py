"""ALTO XML: reading, and writing what was recognised."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn.data.formats import alto, open_data
from crnn.data.formats._canvas import points
from crnn.errors import DataError
from crnn.types import Part, Prediction, Region

etree = pytest.importorskip("lxml.etree")

HOUSES = ["http://www.loc.gov/standards/alto/ns-v2#", "http://www.loc.gov/standards/alto/ns-v4#", ""]
BOX = ((10, 20), (90, 20), (90, 40), (10, 40))


def altoxml(
    lines: str,
    *,
    image: str = "p.png",
    unit: str = "pixel",
    size: str = 'WIDTH="100" HEIGHT="200"',
    house: str = HOUSES[1],
) -> str:
    space = f' xmlns="{house}"' if house else ""
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<alto{space}>
  <Description>
    <MeasurementUnit>{unit}</MeasurementUnit>
    <sourceImageInformation><fileName>{image}</fileName></sourceImageInformation>
  </Description>
  <Layout><Page ID="p" {size}><PrintSpace><ComposedBlock><TextBlock ID="b">
    {lines}
  </TextBlock></ComposedBlock></PrintSpace></Page></Layout>
</alto>
"""


def line(inner: str, line_id: str = "l1", place: str = 'HPOS="10" VPOS="20" WIDTH="80" HEIGHT="20"') -> str:
    return f'<TextLine ID="{line_id}" {place}>{inner}</TextLine>'


def string(text: str, attributes: str = "") -> str:
    return f'<String CONTENT="{text}" {attributes}/>'


@pytest.fixture(autouse=True)
def page_picture(picture):
    return picture("p.png", (100, 200))


def only(path):
    (sample,) = open_data(path)
    return sample


@pytest.mark.parametrize("house", HOUSES)
def test_lines_of_every_version(tmp_path, file, page_picture, house):
    file("p1.xml", altoxml(line(string("Grüße") + "<SP/>" + string("aus")) + line("", "l2"), house=house))
    first, second = open_data(tmp_path)
    assert (first.id, first.y, first.group) == ("p1.xml#l1", "Grüße aus", "p1")
    assert first.x == Region(page_picture, BOX)
    assert (second.id, second.y) == ("p1.xml#l2", None)


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        (string("one") + string("two"), "one two"),
        (string("one") + string(",") + "<SP/>" + string("two"), "one, two"),
        (string("Wort", 'SUBS_TYPE="HypPart1" SUBS_CONTENT="Wortteil"') + '<HYP CONTENT="-"/>', "Wort-"),
        (string("Wort") + "<HYP/>", "Wort-"),
        (string("Wort-") + '<HYP CONTENT="&#xAD;"/>', "Wort-"),
        (string("Wort") + '<HYP CONTENT="&#xAD;"/>', "Wort\N{SOFT HYPHEN}"),
        ("<SP/>" + string("one") + "<SP/>", "one"),
        (string("") + "<Shape/>", None),
    ],
)
def test_which_text_is_taken(file, inner, text):
    assert only(file("a.xml", altoxml(line(inner)))).y == text


@pytest.mark.parametrize(
    "shape", ["10,20 90,20 90,40 10,40", "10 20 90 20 90 40 10 40", "(10,20),(90,20) (90.0,40)(10,40)"]
)
def test_spellings_of_a_polygon(file, shape):
    inner = f'<Shape><Polygon POINTS="{shape}"/></Shape>' + string("one")
    assert only(file("a.xml", altoxml(line(inner, place="")))).x.polygon == BOX


@given(st.lists(st.tuples(st.integers(-9999, 9999), st.floats(-1e6, 1e6)), max_size=5))
@settings(max_examples=30, deadline=None)
def test_any_points_come_back(pairs):
    for between, behind in ((",", " "), (" ", " "), (",", ",")):
        assert points(behind.join(f"{x}{between}{y}" for x, y in pairs)) == pairs


@pytest.mark.parametrize(
    ("unit", "size", "dpi", "scale"),
    [
        ("mm10", 'WIDTH="1000" HEIGHT="2000"', None, 0.1),  # the page's size tells
        ("mm10", 'WIDTH="100" HEIGHT="200"', 300, 1),  # Transkribus writes mm10 and means pixels
        ("mm10", "", 127, 0.5),
        ("mm10", 'WIDTH="300" HEIGHT="200"', 127, 0.5),  # a page of another shape tells nothing
        ("inch1200", "", 300, 0.25),
        ("pixel", 'WIDTH="50" HEIGHT="100"', 300, 2),
        ("pixel", "", 300, 1),
        ("", "", None, 1),
        ("pixel", 'WIDTH="nan" HEIGHT="inf"', None, 1),
        ("mm", 'WIDTH="1000" HEIGHT="2000"', None, 0.1),
    ],
)
def test_units(file, picture, unit, size, dpi, scale):
    picture("u.png", (100, 200), dpi)
    text = altoxml(line(string("one")), image="u.png", unit=unit, size=size)
    text = text if unit else text.replace("<MeasurementUnit></MeasurementUnit>", "")
    polygon = only(file("a.xml", text)).x.polygon
    assert [x for x, _ in polygon] == pytest.approx([min(x * scale, 100) for x, _ in BOX], rel=1e-3)
    assert [y for _, y in polygon] == pytest.approx([y * scale for _, y in BOX], rel=1e-3)


@pytest.mark.parametrize("unit", ["mm10", "inch1200", "ell"])
def test_a_unit_that_means_no_number_of_pixels(file, unit):
    with pytest.raises(DataError, match=f"a.xml: measures in '{unit}', and neither .* nor p.png say"):
        open_data(file("a.xml", altoxml(line(string("one")), unit=unit, size="")))


def test_a_picture_of_another_shape_is_refused(file):
    with pytest.raises(DataError, match="speaks of a page of 200 x 100"):
        open_data(file("a.xml", altoxml(line(""), size='WIDTH="200" HEIGHT="100"')))


@pytest.mark.parametrize(
    "place",
    ["", 'HPOS="10" VPOS="20" WIDTH="80"', 'HPOS="x" VPOS="20" WIDTH="80" HEIGHT="1.6e"', 'HPOS="nan" VPOS="inf"'],
)
def test_a_line_without_outline_is_left_out(file, place):
    left_out = []
    path = file("a.xml", altoxml(line("", place=place) + line("", "l2")))
    assert [s.id for s in open_data(path, left_out=left_out)] == ["a.xml#l2"]
    assert "expected a Shape, or HPOS, VPOS, WIDTH and HEIGHT" in str(left_out[0])


def test_an_absolute_picture_is_not_followed_but_one_beside_serves(file, picture):
    path = file("a.xml", altoxml(line(string("one")), image="//server/ocr/x_I1.tif"))
    with pytest.raises(DataError, match=r"a.xml: the path '//server/ocr/x_I1.tif' is an absolute path"):
        open_data(path)
    image = picture("a.jpg", (100, 200))
    assert only(path).x.page == image


def test_no_picture_named(file, picture):
    image = picture("a.jpg", (100, 200))
    text = altoxml(line(string("one"))).replace("sourceImageInformation", "other")
    assert only(file("a.xml", text)).x.page == image
    with pytest.raises(DataError, match=r"expected b.jpg \(or .png, .tif ...\) beside it"):
        open_data(file("b.xml", text))


def test_several_pages_in_a_file(file):
    text = altoxml("").replace("<Layout>", "<Layout><Page/>")
    with pytest.raises(DataError, match="has 2 pages; expected one page"):
        open_data(file("a.xml", text))


def test_page_and_alto_of_the_same_pages_need_a_word(tmp_path, file):
    file("alto/a.xml", altoxml(line(string("one"))))
    file("page/a.xml", "<PcGts/>")
    with pytest.raises(DataError, match="can be read as page and as alto"):
        open_data(tmp_path)
    assert [s.y for s in open_data(tmp_path, "alto")] == ["one"]


# --- writing ----------------------------------------------------------------------------------------------------------


def spelled(text: str, step: float = 5) -> tuple[Part, ...]:
    """Parts of ``step`` pixels for each letter; the n-th is sure by 1 / n."""
    return tuple(Part(letter, i * step, (i + 1) * step, 1 / (i + 1)) for i, letter in enumerate(text))


def strings(path) -> list[dict[str, str]]:
    return [dict(e.attrib) for e in etree.parse(str(path)).iter("{*}String", "{*}SP", "{*}HYP")]


@pytest.mark.parametrize("house", HOUSES)
def test_what_is_written_is_read_again(tmp_path, file, house):
    shape = '<Shape><Polygon POINTS="10,20 90,20 90,40 10,40"/></Shape>'
    old = shape + string("old", 'STYLEREFS="s" WC="0.1" SUBS_TYPE="HypPart1"') + "<SP/>" + string("x", 'STYLEREFS="s"')
    source = file("a.xml", altoxml(line(old + '<HYP CONTENT="-"/>') + line(string("kept"), "l2"), house=house))
    before = source.read_bytes()
    alto.write(source, {"l1": Prediction("", "Grüße &  so", 0.75)}, tmp_path / "out.xml")
    assert [(s.y, s.x.polygon) for s in open_data(tmp_path / "out.xml")] == [("Grüße & so", BOX), ("kept", BOX)]
    word = {"STYLEREFS": "s", "WC": "0.7500"}
    assert strings(tmp_path / "out.xml") == [
        {**word, "CONTENT": "Grüße"},
        {},
        {**word, "CONTENT": "&"},
        {},
        {**word, "CONTENT": "so"},
        {"CONTENT": "kept"},
    ]
    assert source.read_bytes() == before
    assert b"standalone='yes'" in (tmp_path / "out.xml").read_bytes()
    assert b"xmlns:ns0" not in (tmp_path / "out.xml").read_bytes()


def test_words_get_their_place_and_confidence_from_letters(tmp_path, file):
    source = file("a.xml", altoxml(line(string("old"))))
    alto.write(source, {"l1": Prediction("", "ab c", 0.9, spelled("ab c"))}, source)
    assert strings(source) == [
        {"CONTENT": "ab", "HPOS": "10", "VPOS": "20", "WIDTH": "10", "HEIGHT": "20", "WC": "0.7500"},
        {"HPOS": "20", "VPOS": "20", "WIDTH": "5"},
        {"CONTENT": "c", "HPOS": "25", "VPOS": "20", "WIDTH": "5", "HEIGHT": "20", "WC": "0.2500"},
    ]


def test_places_are_in_the_file_s_unit_and_on_the_line(tmp_path, file):
    place = 'HPOS="100" VPOS="200" WIDTH="800" HEIGHT="200"'
    source = file("a.xml", altoxml(line("", place=place), unit="mm10", size='WIDTH="1000" HEIGHT="2000"'))
    alto.write(source, {"l1": Prediction("", "abcd", 0.9, spelled("abcd", 30))}, source)
    (word,) = strings(source)
    assert (word["HPOS"], word["VPOS"], word["WIDTH"], word["HEIGHT"]) == ("100", "200", "800", "200")


def test_letters_may_come_without_spaces_and_from_right_to_left(tmp_path, file):
    source = file("a.xml", altoxml(line("")))
    alto.write(source, {"l1": Prediction("", "ab c", 0.9, spelled("abc"))}, source)
    assert [word.get("HPOS") for word in strings(source)] == ["10", "20", "20"]
    parts = [Part(part.value, 30 - part.stop, 30 - part.start, 1) for part in spelled("אב ג")]
    alto.write(source, {"l1": Prediction("", "אב ג", 0.9, tuple(parts))}, source)
    assert [(word["HPOS"], word["WIDTH"]) for word in strings(source)] == [("30", "10"), ("25", "5"), ("20", "5")]


@pytest.mark.parametrize("parts", ["dc ba", "abc", "abcde"])
def test_letters_that_spell_another_text_give_no_places(tmp_path, file, parts):
    source = file("a.xml", altoxml(line("")))
    alto.write(source, {"l1": Prediction("", "ab cd", 0.9, spelled(parts))}, source)
    assert strings(source)[0] == {"CONTENT": "ab", "WC": "0.9000"}


def test_an_empty_text(tmp_path, file):
    source = file("a.xml", altoxml(line(string("old"))))
    alto.write(source, {"l1": Prediction("", "", 0.9)}, source)
    assert only(source).y is None
    assert strings(source) == [{"CONTENT": ""}]


def test_an_unknown_line_is_refused(tmp_path, file):
    with pytest.raises(DataError, match="has no line l7"):
        alto.write(file("a.xml", altoxml(line(""))), {"l7": Prediction("", "x", 1)}, tmp_path / "out.xml")


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_text_is_written_and_read(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("alto")
    Image.new("L", (100, 200)).save(folder / "p.png")
    (folder / "a.xml").write_text(altoxml(line(string("old"))), encoding="utf-8")
    alto.write(folder / "a.xml", {"l1": Prediction("", text, 0.9, spelled(text, 2))}, folder / "b.xml")
    found = only(folder / "b.xml").y or ""
    clean = "".join(x if x in "\t\n\r" or (x >= " " and x not in "\ufffe\uffff") else "\ufffd" for x in text)
    assert found.split() == clean.split()
