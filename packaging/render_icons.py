"""Render resources/icons/app.svg to the sizes of the hicolor theme, and to app.ico for Windows."""

import sys
from pathlib import Path

from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

SIZES = (16, 24, 32, 48, 64, 128, 256)
ICONS = Path(__file__).resolve().parents[1] / "resources" / "icons"


def render(size: int) -> Path:
    """Write app-SIZE.png and return its path."""
    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(str(ICONS / "app.svg")).render(painter)
    painter.end()
    path = ICONS / f"app-{size}.png"
    if not image.save(str(path)):
        sys.exit(f"cannot write {path}")
    return path


if __name__ == "__main__":
    application = QGuiApplication(sys.argv)
    pictures = [Image.open(render(size)) for size in SIZES]
    pictures[-1].save(ICONS / "app.ico", append_images=pictures[:-1], sizes=[image.size for image in pictures])
