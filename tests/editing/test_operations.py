"""Each operation by what it promises, on pictures of odd sizes and with transparency."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc_desktop.core.config import check
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.fields import ConfigError
from aigc_desktop.data.samples import encode_png
from aigc_desktop.editing.chain import check_step, operations
from aigc_desktop.editing.oklab import from_oklab, to_oklab
from aigc_desktop.editing.operations.background import flooded
from aigc_desktop.editing.palette import extract, lab_of, parse_colours


def double(colours):
    """Stand in for the network: repeat each pixel."""
    return colours.repeat(2, axis=0).repeat(2, axis=1)


def apply(name, pixels, **values):
    step = check_step({"operation": name, **values})
    before = pixels.copy()
    out = step.operation.apply(pixels, step.config, double)
    assert (pixels == before).all(), "the original was changed"
    assert out.dtype == np.uint8 and out.ndim == 3 and out.shape[2] == 4
    return out


def noise(height, width, seed=0, alpha=None):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(256, size=(height, width, 4), dtype=np.uint8)
    if alpha is not None:
        pixels[..., 3] = alpha
    return pixels


def disc(size=64, background=(255, 255, 255), colour=(200, 30, 40)):
    """Return an antialiased disc on a plain background, and the share of the disc in each pixel."""
    scale = 8
    y, x = np.mgrid[: size * scale, : size * scale] / scale - size / 2
    share = (np.hypot(y, x) < size * 0.35).reshape(size, scale, size, scale).mean(axis=(1, 3))
    mixed = share[..., None] * np.array(colour) + (1 - share[..., None]) * np.array(background)
    pixels = np.full((size, size, 4), 255, np.uint8)
    pixels[..., :3] = mixed.round()
    return pixels, share


SIDES = st.integers(1, 70)
GIVEN = {"recolour": {"colours": "#1F5FD0 #F5A623"}, "resize": {"width": 50}}


@pytest.mark.parametrize("name", [name for name in operations() if name not in ("match-colours", "background")])
@settings(max_examples=15, deadline=None)
@given(height=SIDES, width=SIDES, alpha=st.sampled_from([None, 0, 255]))
def test_any_size_and_any_transparency_can_be_edited(name, height, width, alpha):
    apply(name, noise(height, width, alpha=alpha), **GIVEN.get(name, {}))


# crop


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from(["1:1", "4:3", "3:4", "16:9", "9:16"]))
def test_a_crop_has_the_ratio_to_the_pixel_and_is_as_large_as_can_be(height, width, ratio):
    pixels = noise(height, width)
    out = apply("crop", pixels, ratio=ratio)
    across, down = (int(side) for side in ratio.split(":"))
    assert out.shape[0] == height or out.shape[1] == width
    assert abs(out.shape[1] - out.shape[0] * across / down) <= max(1, across / down)
    top, left = (height - out.shape[0]) // 2, (width - out.shape[1]) // 2
    assert (out == pixels[top : top + out.shape[0], left : left + out.shape[1]]).all()


def test_a_rectangle_is_cut_out_as_it_is_and_its_place_can_be_chosen():
    pixels = noise(40, 60)
    for ratio in ("free", "1:1"):
        assert (apply("crop", pixels, ratio=ratio, left=5, top=7, width=20, height=30) == pixels[7:37, 5:25]).all()
    assert (apply("crop", pixels, ratio="free", left=5) == pixels[:, 5:]).all()
    assert (apply("crop", pixels, place="right") == pixels[:, 20:]).all()
    assert (apply("crop", pixels, place="left") == pixels[:, :40]).all()


@pytest.mark.parametrize("values", [{"left": 60}, {"left": 50, "width": 11}, {"top": 39, "height": 2}])
def test_a_rectangle_outside_the_picture_is_refused_with_its_numbers(values):
    with pytest.raises(UserError, match="does not lie within the picture of 60 × 40 pixels"):
        apply("crop", noise(40, 60), ratio="free", **values)


# resize


@settings(max_examples=40, deadline=None)
@given(height=SIDES, width=SIDES, wide=st.integers(0, 90), high=st.integers(0, 90))
def test_sizes_are_met_by_each_way_to_fit(height, width, wide, high):
    if not wide and not high:
        with pytest.raises(UserError, match="Give a width"):
            apply("resize", noise(height, width), width=0, height=0)
        return
    pixels = noise(height, width)
    for fit in ("exact", "fill"):
        out = apply("resize", pixels, width=wide, height=high, fit=fit)
        assert (not wide or out.shape[1] == wide) and (not high or out.shape[0] == high)
    fitted = apply("resize", pixels, width=wide, height=high, fit="fit").shape
    assert (not wide or fitted[1] <= wide) and (not high or fitted[0] <= high)
    assert (wide and fitted[1] == wide) or (high and fitted[0] == high)


def test_filling_keeps_the_middle_undistorted():
    pixels, _share = disc(60)
    wide = np.concatenate([np.full((60, 30, 4), 255, np.uint8), pixels, np.full((60, 30, 4), 255, np.uint8)], axis=1)
    assert (apply("resize", wide, width=60, height=60, fit="fill") == pixels).all()


def test_hidden_colours_do_not_bleed_into_edges():
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[..., 1] = 255  # green, but invisible
    pixels[4:12, 4:12] = (200, 0, 0, 255)
    for name, values in (("resize", {"width": 40}), ("upscale", {"factor": "4"}), ("upscale", {"method": "lanczos"})):
        out = apply(name, pixels, **values)
        assert out[out[..., 3] > 8, 1].max() < 40, name


def test_a_size_that_memory_cannot_hold_is_refused():
    strip = noise(2, 20_000, alpha=255)
    with pytest.raises(UserError, match="megapixels"):
        apply("resize", strip, width=32_768, height=32_768, fit="exact")
    with pytest.raises(UserError, match="80,000 × 8 pixels"):
        apply("upscale", strip, factor="4", method="lanczos")


# enlarging


@pytest.mark.parametrize("factor", ["2", "4"])
@pytest.mark.parametrize("method", ["network", "lanczos"])
def test_enlarging_gives_the_size_and_keeps_plain_areas(method, factor):
    pixels = np.full((5, 7, 4), (10, 120, 240, 255), np.uint8)
    out = apply("upscale", pixels, method=method, factor=factor)
    assert out.shape == (5 * int(factor), 7 * int(factor), 4) and (out == pixels[0, 0]).all()


# background


def test_a_plain_background_becomes_transparent_with_the_right_edge_and_no_rim():
    pixels, share = disc()
    out = apply("background", pixels)
    alpha = out[..., 3] / 255
    assert np.abs(alpha - share).max() < 0.1
    edge = (alpha > 0.2) & (alpha < 0.9)
    assert edge.any() and np.abs(out[edge][:, :3].astype(int) - (200, 30, 40)).max() < 25


def test_what_was_removed_can_be_laid_on_its_background_again():
    pixels, _share = disc(background=(20, 180, 90))
    out = apply("background", pixels).astype(float)
    alpha = out[..., 3:] / 255
    again = alpha * out[..., :3] + (1 - alpha) * (20, 180, 90)
    assert np.abs(again - pixels[..., :3]).max() < 14


def test_holes_stay_unless_they_are_wanted_open():
    pixels = np.full((40, 40, 4), 255, np.uint8)
    pixels[8:32, 8:32] = (0, 0, 0, 255)
    pixels[16:24, 16:24] = 255
    assert apply("background", pixels)[20, 20, 3] == 255
    assert apply("background", pixels, holes=True)[20, 20, 3] == 0


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [(noise(32, 32, alpha=255), "not plain"), (noise(32, 32, alpha=0), "transparent already"),
     (np.full((9, 9, 4), 255, np.uint8), "Nothing would be left"), (np.full((1, 1, 4), 255, np.uint8), "Nothing")],
)  # fmt: skip
def test_a_background_that_is_not_plain_is_refused(pixels, sentence):
    with pytest.raises(UserError, match=sentence):
        apply("background", pixels)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 24), width=st.integers(1, 24), seed=st.integers(0, 999))
def test_flooding_equals_walking_from_pixel_to_pixel(height, width, seed):
    near = np.random.default_rng(seed).random((height, width)) < 0.6
    border = [(y, x) for y in range(height) for x in range(width) if near[y, x] and
              (y in (0, height - 1) or x in (0, width - 1))]  # fmt: skip
    walked = np.zeros_like(near)
    while border:
        y, x = border.pop()
        if 0 <= y < height and 0 <= x < width and near[y, x] and not walked[y, x]:
            walked[y, x] = True
            border += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    assert (flooded(near) == walked).all()


# colours


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999))
def test_oklab_and_back_is_the_same_colour(seed):
    colours = np.random.default_rng(seed).integers(256, size=(200, 3), dtype=np.uint8)
    assert np.abs(from_oklab(to_oklab(colours)).astype(int) - colours).max() <= 1


def test_oklab_has_its_published_values():
    red, white = to_oklab(np.array([[255, 0, 0], [255, 255, 255]], np.uint8))
    assert np.allclose(red, (0.6280, 0.2249, 0.1258), atol=2e-3) and np.allclose(white, (1, 0, 0), atol=1e-3)


def test_what_no_screen_shows_keeps_its_lightness_and_hue():
    wild = np.array([[0.6, 0.5, 0.1]], np.float32)
    found = to_oklab(from_oklab(wild))[0]
    assert abs(found[0] - 0.6) < 0.02 and abs(np.arctan2(*found[2:0:-1]) - np.arctan2(0.1, 0.5)) < 0.05


def test_a_palette_holds_the_colours_by_their_share():
    pixels = np.full((10, 10, 4), 255, np.uint8)
    pixels[:6, :, :3], pixels[6:9, :, :3], pixels[9:, :, :3] = (200, 0, 0), (0, 0, 200), (0, 200, 0)
    palette = extract(pixels, 8)
    assert palette.codes() == ["#C80000", "#0000C8", "#00C800"]
    assert np.allclose(palette.shares, (0.6, 0.3, 0.1))
    pixels[..., 3] = 0
    assert extract(pixels, 8).codes() == []


def test_recolouring_turns_hues_and_keeps_lightness_greys_and_alpha():
    pixels, _share = disc(colour=(200, 30, 40))
    pixels[..., 3] = noise(64, 64)[..., 3] | 128
    out = apply("recolour", pixels, colours="#1F5FD0")
    before, after = to_oklab(pixels[..., :3]), to_oklab(out[..., :3])
    assert np.abs(after[..., 0] - before[..., 0]).max() < 0.03
    assert (out[0, 0, :3] == 255).all() and (out[..., 3] == pixels[..., 3]).all()
    target = lab_of(["#1F5FD0"])[0]
    hue = np.arctan2(after[32, 32, 2], after[32, 32, 1]) - np.arctan2(target[2], target[1])
    assert abs(hue) < 0.1
    exact = apply("recolour", pixels, colours="#1F5FD0", lightness=1.0)
    assert np.abs(exact[32, 32, :3].astype(int) - (0x1F, 0x5F, 0xD0)).max() <= 5
    assert (apply("recolour", pixels, colours="#1F5FD0", strength=0.0) == pixels).all()


def test_each_brand_colour_is_used_when_there_are_colours_enough():
    pixels = np.full((20, 30, 4), 255, np.uint8)
    pixels[:, :10, :3], pixels[:, 10:20, :3], pixels[:, 20:, :3] = (220, 40, 40), (240, 120, 30), (230, 70, 60)
    out = apply("recolour", pixels, colours="#1F5FD0 #00A070 #8030C0", lightness=1.0)
    assert len({tuple(out[0, x, :3]) for x in (5, 15, 25)}) == 3


def test_colours_of_another_picture_are_taken_over_and_light_and_dark_stay(tmp_path):
    warm, _share = disc(colour=(220, 90, 20), background=(250, 220, 160))
    cold, _share = disc(colour=(20, 80, 200), background=(180, 220, 250))
    other = tmp_path / "other.png"
    other.write_bytes(encode_png(cold))
    out = apply("match-colours", warm, picture=str(other))
    before, after, wanted = (to_oklab(each[..., :3]) for each in (warm, out, cold))
    assert np.abs(after[..., 0] - before[..., 0]).max() < 0.03
    apart = np.linalg.norm((after - wanted).mean(axis=(0, 1))[1:])
    assert apart < 0.3 * np.linalg.norm((before - wanted).mean(axis=(0, 1))[1:])
    with pytest.raises(UserError, match=r"missing\.png"):
        apply("match-colours", warm, picture=str(tmp_path / "missing.png"))


def test_colours_are_reduced_to_so_many():
    out = apply("reduce-colours", noise(40, 40, alpha=255), count=5)
    assert len(np.unique(out.reshape(-1, 4), axis=0)) == 5


def test_colours_are_read_in_many_ways_and_nonsense_is_named():
    assert parse_colours("#1f5fd0, F5A623；#abc") == ["#1F5FD0", "#F5A623", "#AABBCC"]
    for text in ("", "#12345", "red", "#1f5fd0 #xyz123"):
        with pytest.raises(ValueError, match="is no colour"):
            parse_colours(text)
    with pytest.raises(ConfigError, match="is no colour"):
        check(operations()["recolour"].config, {"colours": "blue"})
