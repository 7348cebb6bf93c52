"""Jobs that edit pictures: a quick look at what a chain of edits does, and the edits themselves."""

from __future__ import annotations

from pathlib import Path

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.errors import BadInput, UserError, is_out_of_memory
from aigc_desktop.core.events import EventStream, Note, Progress, Result, Sample
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.files import atomic_file
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.data.problems import shown_name
from aigc_desktop.data.samples import encode_png
from aigc_desktop.data.sources import parse_sources
from aigc_desktop.editing.chain import apply_steps, parse_steps
from aigc_desktop.editing.operation import Pixels, resample
from aigc_desktop.editing.palette import extract
from aigc_desktop.editing.pictures import open_picture, without_spare_alpha
from aigc_desktop.engine.pictures.upscaling import double

LOOK_SIDE = 2048
"""Pixels of a side that a look shows at most."""
SWATCHES = 8


class LookConfig(TaskConfig):
    """One picture and the edits to try on it."""

    picture: str = param(..., N_("Picture"), N_("The picture to edit."), kind=FieldKind.FILE)
    steps: str = param(..., N_("Edits"), N_("The chain of edits as JSON."))


class EditConfig(TaskConfig):
    """The pictures, the edits, and the folder for what comes out."""

    pictures: str = param(..., N_("Pictures"), N_("The pictures to edit, one path a line."))
    steps: str = param(..., N_("Edits"), N_("The chain of edits as JSON."))
    out: str = param(..., N_("Folder"), N_("Where the edited pictures go."), kind=FieldKind.PATH)


def look(config: LookConfig, _run: Run) -> EventStream:
    """Show a picture before ("real") and after the edits; ends with a Result "look" with sizes and palette.

    The picture before is seen through what the edits cut off, so that both show the same part.
    """
    steps = parse_steps(config.steps)
    pixels = open_picture(Path(config.picture))
    yield Progress(0, 2)
    before = apply_steps(pixels, [step for step in steps if step.operation.frames], double)
    yield Sample(0, _shown(before), role="real")
    after = apply_steps(pixels, steps, double)
    yield Sample(0, _shown(after))
    yield Result("look", {
        "before": [pixels.shape[1], pixels.shape[0]], "after": [after.shape[1], after.shape[0]],
        "palette": extract(after, SWATCHES).codes(),
    })  # fmt: skip


def edit(config: EditConfig, _run: Run) -> EventStream:
    """Write each edited picture to `out` as a PNG named after its place in the list; ends with a Result "edited".

    One that cannot be edited is told and left out; UserError when none can.
    """
    steps, paths = parse_steps(config.steps), [Path(path) for path in parse_sources(config.pictures)]
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    failures: list[UserError] = []
    for place, path in enumerate(paths):
        yield Progress(place, len(paths), _("Editing"), unit=N_("pictures"))
        try:
            pixels = without_spare_alpha(apply_steps(open_picture(path), steps, double))
        except (UserError, MemoryError, RuntimeError) as caught:
            if not isinstance(caught, UserError) and not is_out_of_memory(caught):
                raise
            error = caught if isinstance(caught, UserError) else _too_large()
            failures.append(error)
            if len(paths) > 1:
                named = isinstance(error, BadInput)
                yield Note(error.message if named else f"{shown_name(path.name)}: {error.message}", "warning")
            continue
        with atomic_file(out / f"{place:06d}.png") as f:
            f.write(encode_png(pixels))
    if len(failures) == len(paths):
        raise failures[0]
    yield Progress(len(paths), len(paths), _("Editing"), unit=N_("pictures"))
    yield Result("edited", {"count": len(paths) - len(failures), "failed": len(failures)})


def _too_large() -> UserError:
    hint = _("Make the picture smaller first, or close other programs.")
    return UserError(_("Not enough memory for this picture."), hint, kind="OutOfMemory")


def _shown(pixels: Pixels) -> Pixels:
    """Return a picture as a Sample has it, small enough for a look."""
    height, width = pixels.shape[:2]
    scale = LOOK_SIDE / max(height, width)
    if scale < 1:
        pixels = resample(pixels, max(1, round(scale * width)), max(1, round(scale * height)))
    return pixels[None]


JOBS = Family(
    "edit",
    N_("Edit"),
    N_("Crop, enlarge and recolour pictures after they were made."),
    "image",
    (Task("look", N_("Look"), LookConfig, look, "data"), Task("apply", N_("Edit"), EditConfig, edit, "data")),
)
