"""Trace a picture as curves with vtracer, in a helper process: the library holds up all threads while it works.

The helper is this program started with `--trace`: a PNG comes in on its input, the paths go out on its output.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys

import numpy as np
from PIL import Image

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.export.helper import ask_helper

SIDE = 1024
"""Pixels of the longer side at most; more would only trace noise. Noise itself takes half a minute at this size."""
LIMIT_S = 300
_PATH = re.compile(r"<path [^>]*/>")


def trace(image: Image.Image, quality: int) -> str:
    """Return a picture as SVG `path` elements in its own pixels; quality 1 to 100 says how fine the shades are.

    Edges that are partly transparent become sharp: an outline of curves needs no soft one.
    """
    image = image.convert("RGBA")
    width, height = image.size
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    pixels = np.array(image)
    pixels[..., 3] = np.where(pixels[..., 3] >= 128, 255, 0)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    try:
        drawn = ask_helper(["--trace", str(quality)], data.getvalue(), LIMIT_S)
    except subprocess.SubprocessError as error:
        raise UserError(
            _("The picture could not be made into curves."), _("Reduce its colours first, or make it smaller.")
        ) from error
    found = "\n".join(path for path in _PATH.findall(drawn.decode("utf-8")) if ' d=""' not in path)
    scale = f"scale({width / image.width:.6g},{height / image.height:.6g})"
    return f'<g transform="{scale}">\n{found}\n</g>' if image.size != (width, height) else found


def main(arguments: list[str]) -> int:
    """Be the helper: read a PNG, write an SVG."""
    import vtracer

    quality = int(arguments[0])
    drawn = vtracer.convert_raw_image_to_svg(
        sys.stdin.buffer.read(), img_format="png", color_precision=7 if quality > 80 else 6,
        layer_difference=max(4, round(64 - 0.56 * quality)), path_precision=2,
    )  # fmt: skip
    sys.stdout.buffer.write(drawn.encode("utf-8"))
    return 0
