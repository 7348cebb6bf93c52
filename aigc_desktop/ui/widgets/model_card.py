"""The card of an imported model: what it is, its licence, and whether it fits into this machine's memory."""

from __future__ import annotations

from PySide6.QtCore import Signal

from aigc_desktop.core.errors import readable_size
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.model import Model, ModelInfo, memory_of
from aigc_desktop.data.pipeline_lines import LINES
from aigc_desktop.ui.format import readable_count
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import Card, FlowLayout
from aigc_desktop.ui.widgets.controls import TextRole, button, label

KINDS = {
    "language": N_("Writes texts"), "encoder": N_("Reads texts, as a base for sorting and marking"),
    "adapter": N_("Adapter: changes the model it belongs to"),
    "diffusion": N_("Makes pictures from words, from pictures, and parts of them anew"),
    "lora": N_("LoRA: gives a diffusion model a style or a thing"),
}  # fmt: skip


_LEAST_BITS = {"language": 8, "diffusion": 16}
"""Bits of a weight that each kind of model can do with."""


class ModelCard(Card):
    """Tells about one model; the signals pass it on."""

    used = Signal(object)
    revealed = Signal(object)
    removed = Signal(object)

    def __init__(self, theme: Theme, model: Model) -> None:
        info = model.info
        super().__init__(theme, info.title)
        self.model = model
        self.setAccessibleName(info.title)
        self.add(label(_(KINDS[info.kind]), "body"))
        self.facts = label(" · ".join(_facts(info)), "secondary")
        self.add(self.facts)
        self.memory = label(*_memory(info))
        if info.kind not in ("adapter", "lora"):
            self.add(self.memory)
        self.parts = label(_("Parts: {names}").format(names=", ".join(map(_part, info.parts.items()))), "hint")
        if info.parts:
            self.add(self.parts)
        use = _("Make pictures with it") if info.kind == "diffusion" else _("Write with it")
        self.use_button = button(theme, use, "create", tip=_("Use the model in Create"))
        self.folder_button = button(theme, _("Open folder"), "folder-open", tip=_("Show the files of the model"))
        self.delete_button = button(theme, _("Delete"), "trash-2", "danger", _("Move to the trash"))
        self.use_button.setVisible(info.kind not in ("encoder", "lora"))
        row = FlowLayout(theme.px(8))
        for made in (self.use_button, self.folder_button, self.delete_button):
            made.clicked.connect(self._clicked)
            row.addWidget(made)
        self.add(row)

    def _clicked(self) -> None:
        signals = {self.use_button: self.used, self.folder_button: self.revealed, self.delete_button: self.removed}
        signals[self.sender()].emit(self.model)  # type: ignore[index]  # only these buttons are connected


def _facts(info: ModelInfo) -> list[str]:
    """Return kind, size, context and licence in words."""
    line = _line_title(info.architecture)
    facts = [line]
    if info.kind == "lora":
        facts = [_("made for {line}").format(line=line)] if line else []
    facts.append(_("{count} weights").format(count=readable_count(info.parameters)))
    facts.append(_("{size} on the disk").format(size=readable_size(info.bytes)))
    if info.context:
        facts.append(_("reads {count} tokens").format(count=f"{info.context:,}"))
    if info.kind == "language":
        facts.append(_("holds conversations") if info.chat else _("goes on with texts"))
    if info.base:
        facts.append(_("belongs to “{name}”").format(name=info.base))
    facts.append(_("licence: {name}").format(name=info.licence) if info.licence else _("licence not given"))
    return facts


def _line_title(architecture: str) -> str:
    """Return how a line of diffusion models is called; what is not one of them is its own name."""
    lines = (line for line in LINES if architecture in (line.name, *line.classes))
    return next((line.title for line in lines), architecture)


def _memory(info: ModelInfo) -> tuple[str, TextRole]:
    """Say what the weights need in memory, and what is missing when that is more than is free; a warning then."""
    import psutil

    free = psutil.virtual_memory().available
    bits = _LEAST_BITS.get(info.kind, 32)
    least, whole = memory_of(info, bits), memory_of(info, 32)
    if least > free:
        return _("Does not fit: needs about {needed} of memory, {missing} more than is free.").format(
            needed=readable_size(least), missing=readable_size(least - free)
        ), "warning"
    if least == whole or whole <= free:
        return _("Fits: needs about {needed} of memory, {free} are free.").format(
            needed=readable_size(whole), free=readable_size(free)
        ), "secondary"
    return _("Fits with {bits}-bit weights: needs about {needed} of memory, {free} are free.").format(
        bits=bits, needed=readable_size(least), free=readable_size(free)
    ), "secondary"


def _part(part: tuple[str, str]) -> str:
    name, kind = part
    return f"{name} ({kind})"
