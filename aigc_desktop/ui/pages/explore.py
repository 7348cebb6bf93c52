"""The Explore page: look around in what a trained model can make, and keep what is good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QVBoxLayout

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import N_, _, ngettext
from aigc_desktop.core.place import Place, latent_place, read_places, seed_place
from aigc_desktop.ui.page import Page
from aigc_desktop.ui.widgets.controls import label
from aigc_desktop.ui.widgets.empty_state import EmptyState
from aigc_desktop.ui.widgets.fitted_stack import FittedStack
from aigc_desktop.ui.widgets.side_by_side import SideBySide

if TYPE_CHECKING:
    from aigc_desktop.core.collected import Collected
    from aigc_desktop.core.library import Card
    from aigc_desktop.ui.exploration import Exploration

PANEL_PX, NARROW_PX = 320, 240


class ExplorePage(Page):
    """Left the map and the picture looked at, right what changes it."""

    title = N_("Explore")
    icon = "explore"
    order = 50
    keys = ((N_("Collect the picture"), "A"), (N_("Variants of this"), "V"), (N_("Keep in the Library"), "Ctrl+Enter"))

    def steps(self) -> Sequence[Callable[[], None]]:
        """Make the widgets; those that read pictures are imported then, not when the window starts."""
        return (self._make_view, self._make_panel, self._make_rest)

    def _make_view(self) -> None:
        from aigc_desktop.ui.exploration import Exploration
        from aigc_desktop.ui.keeper import Keeper
        from aigc_desktop.ui.widgets.explore.explore_view import ExploreView

        self.waiting: dict[str, Any] | None = None
        """What the page was opened with before the engine was ready; None when nobody opened it."""
        self.visit: dict[str, Any] = {}
        self.visit_varies = False
        self.keeper = Keeper(self, self.services.workspace)
        self.exploration: Exploration = Exploration(self.services, self)
        self.view = ExploreView(self.services.theme, self.exploration)

    def _make_panel(self) -> None:
        from aigc_desktop.ui.widgets.explore.explore_panel import ExplorePanel
        from aigc_desktop.ui.widgets.explore.film_panel import FilmPanel
        from aigc_desktop.ui.widgets.explore.mix_panel import MixPanel
        from aigc_desktop.ui.widgets.explore.photo_panel import PhotoPanel
        from aigc_desktop.ui.widgets.explore.sliders_panel import SlidersPanel

        collected = self.view.collected
        self.sliders = SlidersPanel(self.services, self.exploration, collected)
        self.mix = MixPanel(self.services.theme, self.exploration, collected)
        self.film = FilmPanel(self.services, self.exploration, collected)
        self.photo = PhotoPanel(self.services, self.exploration)
        tabs = [
            ("sliders", _("Sliders"), self.sliders), ("mix", _("Mix"), self.mix), ("film", _("Film"), self.film),
            ("photo", _("Photo"), self.photo),
        ]  # fmt: skip
        self.panel = ExplorePanel(self.services, tabs)

    def _make_rest(self) -> None:
        theme = self.services.theme
        self.empty = EmptyState(
            theme, "explore", _("No model to explore yet"),
            _("Train an image GAN, an image VAE or an image flow. Then you walk through everything it can make: "
              "on a map, with sliders, and from your own pictures."), _("Go to Train"),
            folder=self.services.folder,
        )  # fmt: skip
        self.starting = label(_("The engine is starting…"), "secondary")
        self.starting.setAlignment(Qt.AlignmentFlag.AlignCenter)
        work = SideBySide(theme, self.view, self.panel, (NARROW_PX, PANEL_PX))
        outer = QVBoxLayout(self)  # a stacked layout has no margins
        outer.setContentsMargins(theme.px(24), theme.px(8), theme.px(24), theme.px(16))
        self.stack = FittedStack()
        outer.addLayout(self.stack)
        for widget in (self.starting, self.empty, work):
            self.stack.addWidget(widget)
        self._connect()

    def _connect(self) -> None:
        self.empty.acted.connect(self._go_to_train)
        self.services.jobs.ready.connect(self._engine_ready)
        self.panel.chosen.connect(self._open_chosen)
        self.panel.keep_asked.connect(self.keep)
        self.view.look.asked.connect(self._asked)
        self.view.collected.asked.connect(self._collected_asked)
        self.view.variants.collect_asked.connect(self.exploration.collect)
        self.exploration.failed.connect(self._failed)
        self.exploration.look_changed.connect(self._look_changed)
        self.exploration.made_again.connect(self._keep_made)
        self.film.frame.connect(self.view.look.show_image)
        self.photo.found.connect(self._photo_found)
        for keys, action in (("A", self.exploration.collect), ("V", self.show_variants), ("Ctrl+Return", self.keep)):
            QShortcut(QKeySequence(keys), self, action, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)

    def shown(self, **arguments: Any) -> None:
        """Explore model `run` in its version `checkpoint`; a `seed` or `places` is collected and, by `vary`, varied.

        With it come `label` and `wildness`, and the `title` and `card` of a kept picture; the file `picture` is put in.
        """
        if not self.services.jobs.catalogue:
            self.waiting = arguments or self.waiting or {}
            self.stack.setCurrentIndex(0)
            return
        self.panel.refresh()
        run = str(arguments.get("run", ""))
        if run and not self.panel.choose(run, str(arguments.get("checkpoint", ""))):
            self.services.notify(_("That model or version cannot be explored; the nearest choice is shown."))
            arguments = {}
        self.stack.setCurrentIndex(1 if self.panel.run_input.value() is None else 2)
        self._open_chosen()
        self._visit(arguments)

    def _engine_ready(self) -> None:
        arguments, self.waiting = self.waiting, None
        if arguments is not None:
            self.shown(**arguments)

    def _open_chosen(self) -> None:
        current = self.panel.current()
        if current is None:
            return
        run, version = current
        known = self.exploration.run
        if known is None or (known.id, self.exploration.version) != (run.id, version):
            self.exploration.open(run, version)

    def _visit(self, arguments: dict[str, Any]) -> None:
        """Look at the picture that another page asks variants of."""
        place = visited_place(arguments)
        if place is not None and self.exploration.run is not None:
            title, card = str(arguments.get("title", "")), str(arguments.get("card", ""))
            self._look_and_collect(place, title, card, vary=bool(arguments.get("vary", True)))
        elif arguments.get("picture"):
            self.panel.show_tab("photo")
            self.photo.put_in(Path(str(arguments["picture"])), str(arguments.get("title", "")))

    def _look_and_collect(self, place: Place, title: str, card: str = "", vary: bool = False) -> None:
        """Look at a place; when the picture is there it is collected, and varied if that is wanted."""
        self.visit = {"title": title, "card": card}
        self.visit_varies = vary
        self.view.map.forget_place()
        self.exploration.rest_sliders()
        self.exploration.look_at(place)

    # what is asked for

    def show_variants(self) -> None:
        """Show variants of the picture looked at."""
        if self.exploration.look is not None:
            self.view.show_mode("variants")
            self.view.variants.make()

    def keep(self) -> None:
        """Keep the picture looked at in the library; it is collected, too."""
        item = self.exploration.collect()
        if item is not None:
            self.exploration.make_again([item])

    def _asked(self, action: str) -> None:
        if action == "collect":
            self.exploration.collect()
        else:
            self.show_variants()

    def _collected_asked(self, action: str) -> None:
        items = self.view.collected.items()
        match action:
            case "variants":
                self._look_and_collect(latent_place(items[0].latent), items[0].title, vary=True)
            case "keep":
                self.exploration.make_again(items)
            case "remove":
                before = self.exploration.shelf.remove([item.id for item in items])
                self.services.notify(
                    _("Taken out of the collection"), partial(self.exploration.shelf.restore, before)
                )

    def _look_changed(self) -> None:
        look = self.exploration.look
        if self.visit and look is not None and look.final:
            self.exploration.collect(**self.visit)
            self.visit = {}
            if self.visit_varies:
                self.show_variants()

    def _photo_found(self, latent: str, name: str) -> None:
        self._look_and_collect(latent_place(latent), name)

    # keeping

    def _keep_made(self, made: list[tuple[Collected, Any]]) -> None:
        works = [self.exploration.work(item, pixels) for item, pixels in made]
        items = [item for item, _pixels in made]
        self.keeper.keep_all(works, partial(self._kept, items), self.services.show_failure)

    def _kept(self, items: list[Collected], cards: list[Card]) -> None:
        for item, card in zip(items, cards, strict=True):
            self.exploration.shelf.keep(item.id, card.id)
        text = ngettext("{count} work kept in the Library", "{count} works kept in the Library", len(cards))
        self.services.notify(text.format(count=len(cards)))

    def _failed(self, failed: Failed) -> None:
        self.sliders.find_button.setEnabled(True)
        self.services.show_failure(failed)

    def _go_to_train(self) -> None:
        self.services.navigate("train")


def visited_place(arguments: dict[str, Any]) -> Place | None:
    """Return the place that another page asks for, None when it asks for none."""
    try:
        if arguments.get("places"):
            return read_places(str(arguments["places"]))[0]
    except UserError:
        return None
    seed = arguments.get("seed")
    if not isinstance(seed, int):
        return None
    return seed_place(seed, str(arguments.get("label") or ""), float(arguments.get("wildness") or 1.0))


PAGE = ExplorePage
