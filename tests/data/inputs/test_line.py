"""Line pictures: whatever a file is like, the network sees ink on paper, upright, at one height."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from crnn.data.inputs.line import Line
from crnn.data.inputs.line_augment import LineAugment
from crnn.errors import DataError
from crnn.types import Region

HEIGHT = 32


def kind(**settings: Any) -> Line:
    return Line(Line.Settings(**{"height": HEIGHT, **settings}))


def drawn(width: int = 300, height: int = HEIGHT, mode: str = "L", ink: Any = 20, paper: Any = 235) -> Image.Image:
    """Bars of ink on paper, heavier to the left and at the top."""
    picture = Image.new(mode, (width, height), paper)
    pen = ImageDraw.Draw(picture)
    for i in range(6):
        left = width * (i + 1) // 9
        pen.rectangle((left, height // 6, left + width // 40 + 1, height * (12 - i) // 14), fill=ink)
    pen.rectangle((width // 30, height // 8, width // 15, height // 3), fill=ink)
    return picture


def near(one: np.ndarray, other: np.ndarray, most: float = 4) -> bool:
    assert one.shape == other.shape, f"{one.shape} and {other.shape}"
    return float(np.abs(one.astype(float) - other).mean()) < most


# what comes out


def test_time_runs_along_the_columns_and_space_is_the_height() -> None:
    picture = np.full((HEIGHT, 50), 240, np.uint8)
    picture[4:9, 30:33] = 10
    x = kind().finish(kind().decode(picture))
    assert x.shape == (50, 1, HEIGHT) and x.dtype == np.float32 and kind().spec.space == (HEIGHT,)
    assert {(int(t), int(h)) for t, _, h in np.argwhere(x > 0.5)} == {
        (t, h) for t in range(30, 33) for h in range(4, 9)
    }


def test_paper_is_0_and_the_darkest_strokes_are_1() -> None:
    for ink, paper in ((20, 235), (100, 180), (0, 255)):
        x = kind().finish(kind().decode(drawn(ink=ink, paper=paper)))
        assert np.isclose(np.median(x), 0) and np.isclose(x.max(), 1)


@pytest.mark.parametrize("value", [0, 1, 128, 254, 255])
@pytest.mark.parametrize("polarity", ["auto", "dark", "light"])
def test_a_blank_line_stays_blank_and_finite(value: int, polarity: str) -> None:
    made = kind(polarity=polarity)
    x = made.finish(made.decode(np.full((40, 200), value, np.uint8)))
    assert np.isfinite(x).all() and not x.any()


def test_faint_grain_does_not_become_ink() -> None:
    grain = np.random.default_rng(0).integers(238, 243, (HEIGHT, 400)).astype(np.uint8)
    assert np.abs(kind().finish(grain)).max() < 0.25


@given(st.integers(1, 400), st.integers(1, 400))
def test_columns_are_in_proportion_and_foretold(width: int, height: int) -> None:
    picture = np.full((height, width), 200, np.uint8)
    made = kind(longest=100_000)
    x, scale = made.decode_scaled(picture)
    assert x.shape == (HEIGHT, max(1, round(width * HEIGHT / height)))
    assert scale == x.shape[1] / width


def test_pictures_that_are_too_long_are_refused() -> None:
    made = kind(longest=500)
    assert made.decode(np.full((HEIGHT, 500), 200, np.uint8)).shape == (HEIGHT, 500)
    with pytest.raises(DataError, match=r"501 x 32 pixels, 501 columns at height 32; expected .* at most 500"):
        made.decode(np.full((HEIGHT, 501), 200, np.uint8))


def test_the_picture_for_reports_is_what_the_network_sees(tmp_path: Path) -> None:
    drawn(600, 90).save(tmp_path / "a.png")
    shown = Image.open(io.BytesIO(kind().picture(tmp_path / "a.png")))
    assert shown.format == "PNG" and np.array_equal(np.asarray(shown), kind().decode(tmp_path / "a.png"))


# ink and paper


def test_light_ink_on_dark_paper_is_turned_around() -> None:
    dark, light = drawn(), drawn(ink=235, paper=20)
    assert np.array_equal(kind().decode(light), 255 - np.asarray(light))
    assert np.array_equal(kind().decode(dark), np.asarray(dark))


def test_who_knows_the_polarity_can_say_it() -> None:
    picture = drawn()
    assert np.array_equal(kind(polarity="dark").decode(picture), np.asarray(picture))
    assert np.array_equal(kind(polarity="light").decode(picture), 255 - np.asarray(picture))


def test_black_ink_on_transparent_paper() -> None:
    opaque = kind().decode(drawn(ink=0, paper=255))
    for mode, ink, paper in (("RGBA", (0, 0, 0, 255), (0, 0, 0, 0)), ("LA", (0, 255), (0, 0))):
        assert near(kind().decode(drawn(mode=mode, ink=ink, paper=paper)), opaque), mode


def test_transparent_colour_of_a_palette_is_paper(tmp_path: Path) -> None:
    picture = drawn(mode="P", ink=1, paper=0)
    picture.putpalette([0, 0, 0, 0, 0, 0])
    picture.save(tmp_path / "a.png", transparency=0)
    assert near(kind().decode(tmp_path / "a.png"), kind().decode(drawn(ink=0, paper=255)))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_the_same_picture(suffix: str, tmp_path: Path) -> None:
    grey = np.asarray(drawn(ink=40, paper=200))
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / f"a.{suffix}")
    assert near(kind().decode(tmp_path / f"a.{suffix}"), grey, most=1)


@pytest.mark.parametrize("top", [1.0, 255.0])
def test_real_numbers_are_the_same_picture(top: float, tmp_path: Path) -> None:
    grey = np.asarray(drawn(ink=40, paper=200))
    Image.fromarray((grey / 255 * top).astype(np.float32)).save(tmp_path / "a.tif")
    assert near(kind().decode(tmp_path / "a.tif"), grey, most=1)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("1", "png"), ("RGB", "webp"), ("RGB", "bmp"), ("CMYK", "jpg"), ("L", "gif"), ("RGB", "ppm"), ("I", "tif")],
)
def test_other_kinds_of_files(mode: str, suffix: str, tmp_path: Path) -> None:
    drawn(ink=0, paper=255).convert(mode).save(tmp_path / f"a.{suffix}")
    assert near(kind().decode(tmp_path / f"a.{suffix}"), kind().decode(drawn(ink=0, paper=255)), most=6)


def test_pages_of_a_tiff_are_not_lost_in_silence(tmp_path: Path) -> None:
    page, path = drawn(ink=0, paper=255), tmp_path / "a.tif"
    page.save(path, save_all=True, append_images=[page.resize((8, 4))])  # a thumbnail
    assert near(kind().decode(path), kind().decode(page), most=1)
    page.save(path, save_all=True, append_images=[page, page])
    with pytest.raises(DataError, match=r"a.tif: holds several pages; expected a picture of one. Make a file of each"):
        kind().decode(path)


def test_arrays_and_pictures_in_memory_are_sources() -> None:
    colours = np.asarray(drawn(mode="RGB", ink=(10, 10, 10), paper=(230, 230, 230)))
    assert near(kind().decode(colours), kind().decode(drawn(ink=10, paper=230)), most=1)
    assert np.array_equal(kind().decode(np.asarray(drawn())), kind().decode(drawn()))


def test_the_size_of_a_broken_picture_is_told_by_its_header(tmp_path: Path) -> None:
    drawn().save(tmp_path / "whole.png")
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "broken.png").write_bytes(data[: len(data) // 2])
    assert kind().steps(tmp_path / "broken.png") == kind().steps(tmp_path / "whole.png")
    with pytest.raises(DataError, match="cannot be decoded"):
        kind().decode(tmp_path / "broken.png")


# turned pictures


@pytest.mark.parametrize(
    ("suffix", "size", "orientation"),
    [("png", (300, 48), o) for o in range(1, 9)]
    + [("jpg", (300, 48), o) for o in range(1, 9)]
    + [("jpg", (2400, 150), o) for o in range(1, 9)],
)
def test_turned_as_the_camera_says(suffix: str, size: tuple[int, int], orientation: int, tmp_path: Path) -> None:
    upright = drawn(*size)
    undo = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90"}
    undo |= {7: "TRANSVERSE", 8: "ROTATE_270"}
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose[undo[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    stored.save(path, exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
    x, scale = kind().decode_scaled(path)
    assert x.shape[1] == kind().steps(path)
    assert near(x, kind().decode(upright), most=6)
    assert scale == pytest.approx(x.shape[1] / size[0])


# large JPEG files, which are decoded at a fraction of their size


@pytest.mark.parametrize("size", [(3000, 520), (3001, 517), (2999, 1023), (777, 255), (400, 64)])
def test_a_jpeg_decoded_smaller_is_the_same_line_at_the_same_scale(size: tuple[int, int], tmp_path: Path) -> None:
    for suffix in ("png", "jpg"):
        drawn(*size).save(tmp_path / f"a.{suffix}", **({"quality": 95} if suffix == "jpg" else {}))
    (png, scale), (jpg, scale_jpg) = (kind().decode_scaled(tmp_path / f"a.{suffix}") for suffix in ("png", "jpg"))
    assert abs(png.shape[1] - jpg.shape[1]) <= 3
    assert scale_jpg == pytest.approx(scale, rel=0.01)
    assert scale_jpg == jpg.shape[1] / size[0], "places are told in pixels of the file"
    assert near(jpg[:, : png.shape[1]], png[:, : jpg.shape[1]], most=8)


@pytest.mark.parametrize("size", [(3000, 520), (3001, 517), (2999, 1023), (2501, 1037)])
def test_columns_of_a_jpeg_are_those_foretold(size: tuple[int, int], tmp_path: Path) -> None:
    drawn(*size).save(tmp_path / "a.jpg")
    assert kind().decode(tmp_path / "a.jpg").shape[1] == kind().steps(tmp_path / "a.jpg")


def test_a_jpeg_is_not_decoded_below_the_height_that_is_asked_for(tmp_path: Path) -> None:
    stripes = np.zeros((1100, 600), np.uint8) + 255
    stripes[::11] = 0
    stripes[1::11] = stripes[2::11] = stripes[3::11] = stripes[4::11] = 0  # 100 lines, which 137 rows cannot show
    for suffix in ("png", "jpg"):
        Image.fromarray(stripes).save(tmp_path / f"a.{suffix}", **({"quality": 95} if suffix == "jpg" else {}))
    png, jpg = (kind(height=275, polarity="dark").decode(tmp_path / f"a.{suffix}") for suffix in ("png", "jpg"))
    assert jpg.std() > 0.8 * png.std()


# regions of a page


@pytest.fixture
def page(tmp_path: Path) -> Path:
    picture = Image.new("L", (200, 150), 220)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 0, 199, 59), fill=90)  # the lines above
    pen.rectangle((40, 80, 160, 90), fill=10)
    picture.save(tmp_path / "page.png")
    return tmp_path / "page.png"


def test_a_region_is_cut_and_the_rest_of_its_box_is_paper(page: Path) -> None:
    slanted = Region(page, ((20, 70), (180, 40), (180, 110), (20, 110)))
    x, scale = kind(height=71).decode_scaled(slanted)
    assert x.shape == (71, 161) and scale == 1.0
    assert x[2, 2] == 220, "outside of the polygon: paper, not the line above"
    assert x[19, 150] == 90, "inside of it: as it is on the page"
    assert x[45, 100] == 10
    assert kind(height=71).steps(slanted) == 161


def test_a_region_reaching_over_the_edge_ends_with_the_page(page: Path) -> None:
    over = Region(page, ((-30, 70), (260, 70), (260, 400), (-30, 400)))
    assert kind(height=80).decode(over).shape == (80, 200)
    assert kind(height=80).steps(over) == 200


def test_a_region_outside_of_the_page_is_refused(page: Path) -> None:
    outside = Region(page, ((300, 10), (400, 10), (400, 50)))
    for read in (kind().decode, kind().steps):
        with pytest.raises(DataError) as caught:
            read(outside)
        assert caught.value.file == page and "inside the page of 200 x 150 pixels" in caught.value.expected


def test_a_region_of_a_turned_page_speaks_of_the_page_as_it_is_shown(page: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(page).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    polygon = ((20.0, 70.0), (180.0, 70.0), (180.0, 110.0), (20.0, 110.0))
    there, here = (kind().decode(Region(path, polygon)) for path in (page, tmp_path / "turned.png"))
    assert np.array_equal(here, there)


# variations

OFF = {"slant": 0.0, "stretch": 0.0, "elastic": 0.0, "squeeze": 0.0, "thickness": 0.0, "blur": 0.0}
OFF |= {"noise": 0.0, "contrast": 0.0, "blots": 0.0}


@given(st.integers(0, 2**32), st.integers(1, 300))
def test_variations_keep_height_and_type_and_change_the_width_as_they_say(seed: int, width: int) -> None:
    x = np.asarray(drawn(width))
    before = x.copy()
    y = LineAugment(share=1.0, stretch=0.2)(x, np.random.default_rng(seed))
    assert y.dtype == np.uint8 and y.shape[0] == HEIGHT
    assert 0.8 * width - 1 <= y.shape[1] <= 1.2 * width + 1 and y.shape[1] > 0
    assert np.array_equal(x, before), "what is given stays as it is"
    assert np.isfinite(kind().finish(y)).all()


@given(st.integers(0, 2**32))
def test_variations_depend_on_the_generator_alone(seed: int) -> None:
    x = np.asarray(drawn())
    one, other = (LineAugment()(x, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(one, other)


def test_variations_vary() -> None:
    x = np.asarray(drawn())
    found = {LineAugment(share=1.0)(x, np.random.default_rng(seed)).tobytes() for seed in range(20)}
    assert len(found) == 20


def test_a_share_of_nothing_varies_nothing() -> None:
    x = np.asarray(drawn())
    assert all(np.array_equal(LineAugment(share=0.0)(x, np.random.default_rng(s)), x) for s in range(20))


def test_strengths_of_nothing_vary_nothing() -> None:
    x = np.asarray(drawn(ink=20, paper=235))
    for seed in range(20):
        assert near(LineAugment(share=1.0, **OFF)(x, np.random.default_rng(seed)), x, most=0.5)


@pytest.mark.parametrize("one", list(OFF))
def test_each_strength_does_something(one: str) -> None:
    x = np.asarray(drawn())
    on = LineAugment(share=1.0, **{**OFF, one: getattr(LineAugment(), one)})
    off = LineAugment(share=1.0, **OFF)
    assert any(
        not np.array_equal(on(x, np.random.default_rng(s)), off(x, np.random.default_rng(s))) for s in range(120)
    )


@pytest.mark.parametrize("one", list(OFF))
def test_small_strengths_are_no_trouble(one: str) -> None:
    x = np.asarray(drawn())
    for seed in range(60):
        LineAugment(share=1.0, **{**OFF, one: 0.05})(x, np.random.default_rng(seed))


def test_text_stays_where_it_can_be_read() -> None:
    """Of the ink, most is still there, whatever was done to it."""
    x = np.asarray(drawn())
    plain = LineAugment(share=1.0, contrast=0.0, blots=0.0, noise=0.0)
    ink = [float((kind().finish(plain(x, np.random.default_rng(s))) > 0.5).mean()) for s in range(60)]
    assert min(ink) > 0.4 * float((kind().finish(x) > 0.5).mean())


def test_views_are_the_line_moved_up_and_down() -> None:
    x = kind().decode(drawn())
    as_it_is, up, down = kind(views=2).views(x)
    assert as_it_is is x and kind(views=2).view_count == 3
    assert np.array_equal(up[:-2], x[2:]) and np.array_equal(down[2:], x[:-2])
    assert (up[-2:] > 200).all() and (down[:2] > 200).all(), "what is new is paper"
    assert kind().view_count == len(kind().views(x)) == 1
    assert len(kind(views=9999).views(x)) == 3 and all(v.shape == x.shape for v in kind(views=9999).views(x))
