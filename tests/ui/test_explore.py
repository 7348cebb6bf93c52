"""The Explore page: walk on the map, move sliders, collect, vary, mix, keep, make films, put in own pictures."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from aigc_desktop.core.collected import read_collected
from aigc_desktop.core.directions import Direction, read_directions, write_directions
from aigc_desktop.core.events import Failed, Finished, Progress, Result, Sample
from aigc_desktop.core.family import TaskSpec
from aigc_desktop.core.files import write_json
from aigc_desktop.core.library import Library
from aigc_desktop.core.place import read_places, seed_place
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.samples import read_png
from aigc_desktop.engine.families import image_gan
from aigc_desktop.engine.host import execute
from aigc_desktop.engine.pictures.gan_setup import ImageGanConfig
from aigc_desktop.ui.exploration import PictureMap
from aigc_desktop.ui.pages.explore import PAGE
from aigc_desktop.ui.widgets.explore.photo_panel import nearness_words
from tests.engine.families.shapes import shapes
from tests.ui.conftest import flush_deleted, settle

GAN = TaskSpec("image_gan.generate", "Make pictures", "create", "image_gan", "Picture GAN", "image", "", [],
               explored=True)  # fmt: skip
COLUMNS = 3


def latent(number: int) -> str:
    return base64.b64encode(np.float32([number, 0]).tobytes()).decode()


def pictures(count: int, first: int = 0) -> np.ndarray:
    return np.stack([np.full((8, 8, 3), (first + i) * 9 % 256, np.uint8) for i in range(count)])


class Engine:
    """Answers as the engine would; remembers the places it was asked for."""

    def __init__(self, jobs):
        self.asked: list[list] = []
        self.number = 0
        jobs.scripts |= {
            "explore.map": self.make_map, "explore.decode": self.decode, "explore.directions": self.find,
            "explore.slider": self.find, "explore.project": self.project, "explore.path": self.film,
        }  # fmt: skip

    def make_map(self, request):
        yield Sample(0, pictures(COLUMNS**2), tuple(range(100, 109)), ("cup",) * 9)
        yield Result("map", {"columns": COLUMNS, "order": list(range(8, -1, -1))})
        yield Finished()

    def decode(self, request):
        places = read_places(request.values["places"])
        self.asked.append(places)
        self.number += 1
        yield Sample(0, pictures(len(places), self.number), labels=("cup",) * len(places))
        latents = [part.parts[0].latent if self._plain(part) else latent(100 * self.number + i)
                   for i, part in enumerate(places)]  # fmt: skip
        yield Result("places", {"latents": latents, "checkpoint": "000200"})
        yield Finished()

    def _plain(self, place):
        return len(place.parts) == 1 and place.parts[0].latent and not place.moves and place.variant is None

    def find(self, request):
        run = self.workspace.run(request.values["run"])
        name = request.values.get("name", "")
        kind = "examples" if name else "principal"
        made = Direction(f"d{name}", kind, latent(1), name, 1)
        write_directions(run, "000200", [*read_directions(run, "000200"), made])
        yield Result("directions", {"ids": [f"d{name}"]})
        yield Finished()

    def project(self, request):
        yield Progress(1, 2, "Coming nearer")
        yield Sample(0, pictures(2), role="reconstruction")
        yield Result("projection", {"latent": latent(7), "psnr": 21.0, "chance_psnr": 12.5, "tried": 64, "label": ""})
        yield Finished()

    def film(self, request):
        yield Sample(0, pictures(4), role="interpolation")
        yield Finished()


@pytest.fixture
def engine(jobs, services):
    jobs.catalogue |= {GAN.key: GAN}
    made = Engine(jobs)
    made.workspace = services.workspace
    return made


@pytest.fixture
def page(qtbot, services, engine):
    page = PAGE(services)
    page.resize(1150, 640)
    qtbot.addWidget(page)
    page.build()
    page.show()
    page.shown(run=run_id(services, "cups"))
    qtbot.waitUntil(lambda: page.exploration.look is not None and page.exploration.look.final)
    yield page
    settle(qtbot)


def run_id(services, word):
    return next(run.id for run in services.workspace.runs() if word in run.info.title)


def looked(qtbot, page):
    """Wait until the picture looked at is there in full quality."""
    qtbot.waitUntil(lambda: page.exploration.asker.waiting("look") is False and page.exploration.look.final)
    return page.exploration.look


def walk(qtbot, page, across, down):
    before = page.exploration.look
    page.view.map.go_to(across, down)
    qtbot.waitUntil(lambda: page.exploration.look is not before)
    return looked(qtbot, page)


def collect(qtbot, page, count):
    for i in range(count):
        walk(qtbot, page, 0.3 * i, 0.2)
        page.exploration.collect()
    return page.exploration.shelf.items


def test_without_a_model_the_page_says_what_to_do(qtbot, workspace, services, record, engine):
    services.workspace = Workspace.open(workspace.folder / "empty")
    page = PAGE(services)
    qtbot.addWidget(page)
    page.build()
    page.shown()
    assert page.stack.currentWidget() is page.empty
    page.empty.button.click()
    assert record.places == [("train", {})]


def test_before_the_engine_is_ready_it_waits_and_then_goes_on(qtbot, services, jobs, engine):
    catalogue, jobs.catalogue = jobs.catalogue, {}
    page = PAGE(services)
    qtbot.addWidget(page)
    page.build()
    page.shown(run=run_id(services, "cups"))
    assert page.stack.currentWidget() is page.starting
    jobs.catalogue = catalogue
    jobs.ready.emit()
    qtbot.waitUntil(lambda: page.exploration.map is not None)


def test_a_page_that_nobody_opened_asks_for_nothing(qtbot, services, jobs, engine):
    page = PAGE(services)
    qtbot.addWidget(page)
    page.build()
    jobs.ready.emit()
    assert jobs.requests == []


def test_only_models_with_a_latent_space_are_offered(page, services):
    offered = [page.panel.run_input.box.itemData(i) for i in range(page.panel.run_input.box.count())]
    assert run_id(services, "cups") in offered
    assert run_id(services, "poems") not in offered


def test_a_text_model_asked_for_is_told(page, services, record):
    page.shown(run=run_id(services, "poems"))
    assert any("cannot be explored" in text for text, _undo in record.notes)


def test_a_pictures_own_place_is_that_picture_and_between_them_is_a_mixture(page):
    [part] = page.exploration.map_place(1.0, 1.0).parts
    assert part.seed == page.exploration.map.seeds[COLUMNS + 1]
    between = page.exploration.map_place(0.5, 0.25).parts
    assert [part.weight for part in between] == [0.375, 0.375, 0.125, 0.125]
    corner = page.exploration.map_place(99.0, -4.0).parts
    assert [part.seed for part in corner] == [page.exploration.map.seeds[COLUMNS - 1]]


def test_a_map_of_one_class_leads_to_pictures_of_that_class(qtbot, page, services, engine, jobs):
    run = services.workspace.run(run_id(services, "cups"))
    write_json(run.checkpoint("best") / "model.json", {"extra": {"classes": ["cup", "mug", ""]}})
    page.exploration.open(run, "000200")
    box = page.view.classes
    assert [box.itemText(i) for i in range(box.count())] == ["All classes", "cup", "mug"]
    box.setCurrentIndex(2)
    box.activated.emit(2)
    qtbot.waitUntil(lambda: page.exploration.map is not None and page.exploration.map.label == "mug")
    assert [request.values["label"] for request in jobs.requests if request.task == "explore.map"][-1] == "mug"
    page.view.map.go_to(0.0, 0.0)
    looked(qtbot, page)
    assert engine.asked[-1][0].parts[0].label == "mug"


def test_maps_of_wide_and_transparent_pictures_keep_their_shape(page, theme):
    wide = [np.full((4, 8, 4), 90, np.uint8)] * 4
    page.view.map.show_map(PictureMap(2, wide, [1, 2, 3, 4]))
    target = page.view.map.target()
    assert target.width() == pytest.approx(2 * target.height())
    assert page.view.map.sheet.hasAlphaChannel()


def test_dragging_looks_at_places_and_drops_those_out_of_date(qtbot, page, engine, jobs):
    canvas = page.view.map
    before = len(engine.asked)
    target = canvas.target()
    start = QPoint(round(target.left()) + 5, round(target.top()) + 5)
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=start)
    for i in range(20):
        canvas.go_to(0.1 * i, 0.1 * i)
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=start)
    looked(qtbot, page)
    assert len(engine.asked) - before <= 4  # the first, the newest, and that one once more in full quality
    assert engine.asked[-1] == [page.exploration.map_place(1.9, 1.9)]


def test_arrow_keys_walk_on_the_map(qtbot, page):
    page.view.map.go_to(1.0, 1.0)
    qtbot.keyClick(page.view.map, Qt.Key.Key_Right)
    assert page.view.map.place.x() == 1.5
    qtbot.keyClick(page.view.map, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    assert page.view.map.place.y() == pytest.approx(0.9)


def test_sliders_are_found_move_the_picture_and_can_be_renamed_and_removed(qtbot, page, engine, record):
    page.sliders.find_button.click()
    qtbot.waitUntil(lambda: list(page.sliders.sliders.sliders) == ["d"])
    slider = page.sliders.sliders.sliders["d"]
    assert slider.name.text() == "Direction 1"
    slider.slider.setValue(20)
    looked(qtbot, page)
    assert engine.asked[-1][0].moves[0].amount == 1.0
    slider.name.setText("size")
    qtbot.keyClick(slider.name, Qt.Key.Key_Return)
    assert page.sliders.sliders.sliders["d"].name.text() == "size"
    assert page.sliders.sliders.amounts() == {"d": 1.0}
    page.sliders.sliders.sliders["d"].remove.click()
    assert not page.sliders.sliders.sliders
    record.notes[-1][1]()
    assert list(page.sliders.sliders.sliders) == ["d"]


def test_a_slider_is_taught_by_examples(qtbot, page, record):
    page.sliders.make.click()
    assert "more and some less" in record.notes[-1][0]
    items = collect(qtbot, page, 4)
    view = page.view.collected
    view.select([item.id for item in items[:2]])
    view.mark("more")
    view.select([item.id for item in items[2:]])
    view.mark("less")
    assert page.sliders.counts.text() == "2 called more · 2 called less"
    page.sliders.make.click()
    assert "name" in record.notes[-1][0]
    page.sliders.name.setText("round")
    page.sliders.make.click()
    qtbot.waitUntil(lambda: "dround" in page.sliders.sliders.sliders)
    assert page.sliders.counts.text() == "0 called more · 0 called less"


def test_safe_to_wild_changes_the_place(qtbot, page, engine):
    page.sliders.wild.slider.setValue(0)
    looked(qtbot, page)
    assert engine.asked[-1][0].wildness == 0.0
    page.sliders.middle.click()
    looked(qtbot, page)
    assert engine.asked[-1][0].wildness == 1.0


def test_what_is_collected_stays_over_a_restart(qtbot, page, services, engine):
    items = collect(qtbot, page, 2)
    page.exploration.collect()  # the same once more
    run = services.workspace.run(run_id(services, "cups"))
    assert read_collected(run) == items == page.exploration.shelf.items
    again = PAGE(services)
    qtbot.addWidget(again)
    again.build()
    again.shown(run=run.id)
    qtbot.waitUntil(lambda: len(again.exploration.shelf.thumbnails) == 2)
    assert [item.title for item in again.exploration.shelf.items] == ["1", "2"]


def test_removing_can_be_undone(qtbot, page, record):
    items = collect(qtbot, page, 2)
    page.view.collected.select([items[0].id])
    page.view.collected.actions_by_key["remove"].trigger()
    assert [item.title for item in page.exploration.shelf.items] == ["2"]
    record.notes[-1][1]()
    assert page.exploration.shelf.items == items


def test_variants_know_what_they_come_from(qtbot, page, engine):
    page.show_variants()
    qtbot.waitUntil(lambda: len(page.exploration.variants) == 12)
    [source] = page.exploration.shelf.items
    assert {place.variant for place in engine.asked[-1]} == set(range(12))
    page.view.variants.grid.select_rows([3])
    looked(qtbot, page)
    child = page.exploration.collect()
    assert child.parents == (source.id,)


def test_chosen_pictures_are_mixed_with_weights(qtbot, page, engine):
    items = collect(qtbot, page, 2)
    page.view.collected.select([item.id for item in items])
    looked(qtbot, page)
    assert [part.latent for part in engine.asked[-1][0].parts] == [item.latent for item in items]
    page.mix.weights[0].setValue(100)
    page.mix.weights[1].setValue(25)
    looked(qtbot, page)
    assert [part.weight for part in engine.asked[-1][0].parts] == [1.0, 0.25]
    assert page.exploration.collect().parents == tuple(item.id for item in items)


def test_kept_pictures_carry_their_place_and_their_parents(qtbot, page, services, record):
    page.keep()
    qtbot.waitUntil(lambda: any(item.card for item in page.exploration.shelf.items))
    page.show_variants()
    qtbot.waitUntil(lambda: len(page.exploration.variants) == 12)
    page.view.variants.grid.select_rows([0])
    looked(qtbot, page)
    page.keep()
    qtbot.waitUntil(lambda: all(item.card for item in page.exploration.shelf.items))
    parent, child = page.exploration.shelf.items
    library = Library(services.workspace.folder)
    card = library.get(child.card)
    assert card.parents == (parent.card,)
    assert (card.task, card.checkpoint) == ("explore.decode", "000200")
    assert read_places(card.settings["places"])[0].parts[0].latent == child.latent
    assert [each.id for each in library.family(parent.card).children] == [child.card]
    library.close()


def test_variants_of_a_picture_from_elsewhere(qtbot, page, services, engine):
    told = {"seed": 42, "label": "cup", "wildness": 0.5, "title": "#42", "card": "c1"}
    page.shown(run=run_id(services, "cups"), checkpoint="000200", **told)
    qtbot.waitUntil(lambda: len(page.exploration.variants) == 12)
    assert [seed_place(42, "cup", 0.5)] in engine.asked
    [item] = page.exploration.shelf.items
    assert (item.title, item.card) == ("#42", "c1")


def test_a_film_goes_through_what_is_collected(qtbot, page, jobs, services):
    page.panel.show_tab("film")
    assert not page.film.make.isEnabled()
    collect(qtbot, page, 3)
    page.film.make.click()
    qtbot.waitUntil(lambda: len(page.film.images) == 4 and page.film.progress.handle is None)
    request = next(request for request in jobs.requests if request.task == "explore.path")
    assert len(read_places(request.values["places"])) == 3
    assert request.values["loop"] is True
    assert page.film.play.isChecked() and page.film.export.isEnabled()


def test_an_own_picture_is_collected_and_its_nearness_is_told(qtbot, page, tmp_path):
    page.panel.show_tab("photo")
    page.photo.put_in(tmp_path / "my cup.png")
    qtbot.waitUntil(lambda: len(page.exploration.shelf.items) == 1)
    assert page.exploration.shelf.items[0].title == "my cup"
    assert "21.0 dB" in page.photo.words.text()
    assert page.photo.pair.comparing


def test_nearness_is_called_what_it_is():
    words = [nearness_words({"psnr": psnr, "chance_psnr": 10.0, "tried": 256}) for psnr in (30.0, 22.0, 12.0)]
    assert len(set(words)) == 3
    assert "cannot show" in words[2]


def test_a_failure_is_shown_and_the_page_goes_on(qtbot, page, jobs, engine, record):
    jobs.scripts["explore.directions"] = lambda _request: [Failed("x", "No room.", "Make room.")]
    page.sliders.find_button.click()
    qtbot.waitUntil(lambda: bool(record.failures))
    assert record.failures[-1].message == "No room."
    assert page.sliders.find_button.isEnabled()
    walk(qtbot, page, 1.2, 0.4)


def test_damaged_records_are_told_and_the_rest_works(qtbot, services, engine, record):
    run = services.workspace.run(run_id(services, "cups"))
    (run.folder / "collected.json").write_text("{", encoding="utf-8")
    page = PAGE(services)
    qtbot.addWidget(page)
    page.build()
    page.shown(run=run.id)
    assert "collected.json" in record.failures[0].message
    qtbot.waitUntil(lambda: page.exploration.map is not None)


def test_with_the_real_engine(qtbot, center, theme, record, workspace, services):
    dataset = shapes(workspace)
    config = ImageGanConfig(
        dataset=dataset.id, steps=4, resolution="32", width=8, latent=8, batch_size=4, threads=1, device="cpu",
        precision="float32", warmup=1, validate_every=0, sample_every=0, copy_share=0.5,
    )  # fmt: skip
    run = workspace.new_run("image_gan.train", config.model_dump(mode="json"), "shapes")
    list(image_gan.train(config, run))
    run.update(status="finished")
    services.workspace, services.jobs = workspace, center
    page = PAGE(services)
    qtbot.addWidget(page)
    page.build()
    page.show()
    center.warm_up()
    page.shown(run=run.id)
    qtbot.waitUntil(lambda: page.exploration.look is not None and page.exploration.look.final, timeout=60_000)
    assert page.exploration.map.pictures[0].shape == (32, 32, 3)
    page.sliders.find_button.click()
    qtbot.waitUntil(lambda: bool(page.exploration.directions), timeout=30_000)
    page.keep()
    qtbot.waitUntil(lambda: any(item.card for item in page.exploration.shelf.items), timeout=30_000)
    assert not record.failures
    library = Library(workspace.folder)
    card = library.get(page.exploration.shelf.items[0].card)
    again = list(execute(JobRequest(card.task, card.settings, str(workspace.folder))))
    [sample] = [event for event in again if isinstance(event, Sample)]
    assert np.array_equal(sample.images[0], read_png(library.path(card)))  # the record gives the same bytes
    library.close()
    settle(qtbot)
    page.close()
    page.deleteLater()  # as the window does it
    flush_deleted()
