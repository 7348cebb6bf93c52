"""Any picture file becomes pixels for editing: upright, in sRGB, with its transparency; or it is refused by name."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageCms

from aigc_desktop.core.errors import UserError
from aigc_desktop.editing.chain import apply_steps, check_step, edit_titles, operations, parse_steps, steps_text
from aigc_desktop.editing.pictures import open_picture, without_spare_alpha


def saved(tmp_path, image, name="p.png", **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def gradient(width=24, height=16):
    values = np.arange(height * width * 3).reshape(height, width, 3) * 7 % 256
    return Image.fromarray(values.astype(np.uint8))


def test_the_camera_s_rotation_is_honoured(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, gradient(), "turned.png", exif=exif)
    assert open_picture(path).shape == (24, 16, 4)
    assert (open_picture(path)[..., :3] == np.rot90(np.asarray(gradient()), -1)).all()


def test_a_colour_profile_is_applied_and_transparency_kept(tmp_path):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()  # of another mode: left out, as viewers do
    image = gradient().convert("RGBA")
    image.putalpha(77)
    assert (open_picture(saved(tmp_path, image, icc_profile=lab)) == np.asarray(image)).all()
    wide = tmp_path / "wide.png"
    gradient().save(wide, icc_profile=_swapped_profile())
    assert (open_picture(wide)[..., :3] != np.asarray(gradient())).any()


def _swapped_profile() -> bytes:
    """Return an sRGB profile whose red and green primaries are exchanged."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = data.index(b"rXYZ"), data.index(b"gXYZ")
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    at = data.index(b"sRGB", 128) if b"sRGB" in data[128:] else -1
    if at > 0:
        data[at : at + 4] = b"odd "  # a profile that calls itself sRGB is not applied
    return bytes(data).replace("sRGB".encode("utf-16-be"), "odd ".encode("utf-16-be"))


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "CMYK", "I;16", "YCbCr"])
def test_every_mode_opens(tmp_path, mode):
    image = gradient()
    if mode == "I;16":
        image = Image.fromarray(np.arange(16 * 24, dtype=np.uint16).reshape(16, 24) * 170)
    else:
        image = image.convert(mode)
    pixels = open_picture(saved(tmp_path, image, "p.tif"))
    assert pixels.shape == (16, 24, 4) and len(np.unique(pixels[..., 0])) > 1
    assert (pixels[..., 3] == 255).all()


def test_of_an_animation_the_first_picture_is_taken(tmp_path):
    path = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert (open_picture(path)[0, 0] == (255, 0, 0, 255)).all()


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n cut"])
def test_what_is_no_picture_is_refused_by_name(tmp_path, data):
    (tmp_path / "bad.png").write_bytes(data)
    with pytest.raises(UserError, match=r"bad\.png"):
        open_picture(tmp_path / "bad.png")


def test_a_strip_of_20000_pixels_opens_and_one_too_large_does_not(tmp_path):
    assert open_picture(saved(tmp_path, Image.new("RGB", (20_000, 3)))).shape == (3, 20_000, 4)
    with pytest.raises(UserError, match="too large"):
        open_picture(saved(tmp_path, Image.new("L", (33_000, 2)), "long.png"))


def test_alpha_is_dropped_only_when_nothing_is_transparent():
    pixels = np.full((2, 2, 4), 255, np.uint8)
    assert without_spare_alpha(pixels).shape == (2, 2, 3)
    pixels[1, 1, 3] = 254
    assert without_spare_alpha(pixels).shape == (2, 2, 4)


# the chain


def test_steps_survive_their_text_and_tell_no_paths():
    steps = [check_step({"operation": "crop", "ratio": "4:3"}),
             check_step({"operation": "match-colours", "picture": "/home/me/secret/blue.png"})]  # fmt: skip
    assert parse_steps(steps_text(step.plain() for step in steps)) == steps
    assert steps[1].record()["picture"] == "blue.png"
    assert edit_titles(step.record() for step in steps) == "Crop, Take over colours"
    assert edit_titles([{"operation": "of tomorrow"}, {}]) == "of tomorrow, ?"


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[" * 100_000, json.dumps([{"operation": "crop"}] * 51)])
def test_a_text_that_is_no_chain_is_refused(text):
    with pytest.raises(UserError, match="cannot be read"):
        parse_steps(text)


@pytest.mark.parametrize(
    ("step", "sentence"),
    [({"operation": "explode"}, "no way to edit"), ({"operation": "crop", "ratio": "7:5"}, "^Crop: Ratio of the sides"),
     ({"operation": "recolour"}, "^Recolour: Colours: must be chosen"), ({}, "no way to edit"),
     ({"operation": "resize", "width": -1}, "^Resize: Picture width")],
)  # fmt: skip
def test_a_wrong_step_names_its_operation_and_field(step, sentence):
    with pytest.raises(UserError, match=sentence):
        check_step(step)


def test_steps_are_done_in_their_order(tmp_path):
    pixels = open_picture(saved(tmp_path, gradient()))
    steps = [check_step({"operation": "resize", "width": 40}), check_step({"operation": "crop", "ratio": "1:1"})]
    assert apply_steps(pixels, steps, lambda colours: colours).shape == (27, 27, 4)
    assert apply_steps(pixels, steps[::-1], lambda colours: colours).shape == (40, 40, 4)


def test_operations_are_found_and_have_unlike_names_and_orders():
    found = list(operations().values())
    assert {each.name for each in found} >= {"crop", "resize", "upscale", "background", "recolour", "match-colours"}
    assert len({each.order for each in found}) == len(found)


def test_exported_pictures_keep_their_bytes_through_no_steps(tmp_path):
    path = saved(tmp_path, gradient())
    out = io.BytesIO()
    Image.fromarray(without_spare_alpha(apply_steps(open_picture(path), [], lambda colours: colours))).save(out, "PNG")
    assert (np.asarray(Image.open(out)) == np.asarray(gradient())).all()
