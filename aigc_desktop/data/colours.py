"""Bring any mode of Pillow to sRGB, with or without transparency."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}
_SIXTEEN = {"I;16", "I;16L", "I;16B", "I;16N"}
_ROUNDING = 2  # of 255, by which profiles of the same colours differ
_PROFILE_MODES = {"RGB", "CMYK", "L", "LAB"}


def has_alpha(image: Image.Image) -> bool:
    """Return whether a picture may be transparent somewhere."""
    return image.mode in _ALPHA or "transparency" in image.info


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the first frame as RGB: ICC profile applied, alpha laid on white, 16 bits and floats scaled to 8."""
    profile = image.info.get("icc_profile")
    image.load()
    image = _eight_bits(image)
    if has_alpha(image):
        return _on_white(_in_srgb(image, profile))
    if image.mode in ("P", "1", "HSV", "YCbCr", "RGBX"):
        image = image.convert("RGB")
    if image.mode == "LAB":
        return _from_lab(image)
    image = _apply_profile(image, profile)
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it


def to_rgba(image: Image.Image) -> Image.Image:
    """Return the first frame as RGBA in the same way, but with its transparency."""
    if not has_alpha(image):
        return to_rgb(image).convert("RGBA")
    profile = image.info.get("icc_profile")
    image.load()
    return _in_srgb(_eight_bits(image), profile)


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN:
        return Image.fromarray((np.asarray(image, np.uint16) >> 8).astype(np.uint8))
    if image.mode not in ("I", "F"):
        return image
    values = np.nan_to_num(np.asarray(image, np.float64), posinf=0.0, neginf=0.0)
    top = values.max(initial=0.0)
    white = 1.0 if image.mode == "F" and top <= 1.0 else 255.0 if top <= 255.0 else max(65535.0, top)
    return Image.fromarray(np.clip(values * (255.0 / white), 0, 255).astype(np.uint8))


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return a picture with transparency as RGBA, its ICC profile applied; that of a grey picture is of greys."""
    alpha = image.convert("RGBA").getchannel("A")
    colours = _apply_profile(image.convert("L" if image.mode[0] == "L" else "RGB"), profile).convert("RGB")
    colours.putalpha(alpha)
    return colours


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return white


def _apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the picture in sRGB; a damaged profile or one for another mode is left out, as viewers do."""
    if not profile or image.mode not in _PROFILE_MODES:
        return image
    transform = _transform(profile, image.mode)
    if transform is None:
        return image
    return ImageCms.applyTransform(image, transform) or image


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        return None if mode == "RGB" and _changes_nothing(transform) else transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Return whether a profile is sRGB by another name; the name itself may be that of one with another curve."""
    levels = np.linspace(0, 255, 16).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(64, 64, 3)
    told = ImageCms.applyTransform(Image.fromarray(colours), transform)
    return told is not None and int(np.abs(np.asarray(told, np.int16) - colours).max()) <= _ROUNDING


@lru_cache(maxsize=1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    return ImageCms.applyTransform(image, _lab_transform()) or image
