"""Schedule, averages, sampler, device and meters: the small parts of the training core."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from aigc_desktop.core.errors import UserError, is_out_of_memory
from aigc_desktop.engine import device as devices
from aigc_desktop.engine.device import choose_device, choose_precision, describe_machine, set_up
from aigc_desktop.engine.training.data import ImageSource, Sampler, open_dataset, to_model, to_pictures
from aigc_desktop.engine.training.ema import Averages
from aigc_desktop.engine.training.guard import Guard
from aigc_desktop.engine.training.meters import MetricMeans, Pace, Stopwatch
from aigc_desktop.engine.training.muon import Muon
from aigc_desktop.engine.training.optim import adamw, load_optimizer_tensors, optimizer_tensors
from aigc_desktop.engine.training.schedule import lr_factor
from tests.engine.toy import image_dataset, new_run, text_dataset

# schedule


@pytest.mark.parametrize("schedule", ["constant", "cosine", "wsd"])
@given(steps=st.integers(1, 300), warmup=st.integers(0, 400), data=st.data())
def test_factors_stay_between_0_and_1(schedule, steps, warmup, data):
    step = data.draw(st.integers(0, steps - 1))
    assert 0 < lr_factor(schedule, step, steps, warmup) <= 1


def test_warm_up_rises_in_equal_steps():
    assert [lr_factor("constant", i, 100, 4) for i in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])


def test_warm_up_takes_a_tenth_of_a_short_run_at_most():
    assert [lr_factor("constant", i, 55, 50) for i in range(6)] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])


def test_cosine_is_half_way_down_in_the_middle():
    assert lr_factor("cosine", 50, 100, 0) == pytest.approx(0.5)


def test_late_fall_stays_up_then_goes_straight_down():
    assert lr_factor("wsd", 69, 100, 0) == 1
    assert lr_factor("wsd", 85, 100, 0) == pytest.approx(0.5)
    assert lr_factor("wsd", 99, 100, 0) == pytest.approx(1 / 30)


# averages


def test_an_average_forgets_half_of_a_jump_in_its_half_life():
    module = nn.Linear(1, 1)
    nn.init.zeros_(module.weight)
    averages = Averages({"m": module}, half_life=20)
    module.weight.data.fill_(1.0)
    for step in range(1000, 1020):
        averages.update(step)
    assert averages.models["m"].weight.item() == pytest.approx(0.5, abs=1e-4)


def test_an_average_follows_closely_at_first():
    module = nn.Linear(1, 1)
    averages = Averages({"m": module}, half_life=1000)
    module.weight.data.fill_(5.0)
    for step in range(1, 31):
        averages.update(step)
    assert averages.models["m"].weight.item() == pytest.approx(5.0, abs=0.1)


def test_buffers_are_copied_and_without_half_life_the_module_itself_is_used():
    module = nn.BatchNorm1d(2)
    averages = Averages({"m": module}, half_life=10)
    module.running_mean.fill_(3.0)
    averages.update(5)
    assert averages.models["m"].running_mean.tolist() == [3.0, 3.0]
    assert Averages({"m": module}, half_life=0).models["m"] is module


# sampler


@given(count=st.integers(1, 60), batch=st.integers(1, 40), seed=st.integers(0, 5), batches=st.integers(1, 30))
def test_every_item_comes_equally_often_and_a_position_says_all(count, batch, seed, batches):
    sampler = Sampler(count, batch, seed)
    drawn = np.concatenate([sampler.next() for _batch in range(batches)])
    times = np.bincount(drawn, minlength=count)
    assert len(drawn) == batch * batches and times.max() - times.min() <= 1
    other = Sampler(count, batch, seed)
    other.position = sampler.position
    np.testing.assert_array_equal(sampler.next(), other.next())


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {tuple(Sampler(50, 1, seed).order(epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


# pictures


def test_pictures_survive_the_way_into_the_engine_and_back():
    pictures = torch.randint(0, 256, (3, 5, 4, 3), dtype=torch.uint8)
    images = to_model(pictures)
    assert images.shape == (3, 3, 5, 4) and images.min() >= -1 and images.max() <= 1
    np.testing.assert_array_equal(to_pictures(images), pictures.numpy())


def test_values_outside_are_clipped_not_wrapped():
    assert to_pictures(torch.tensor([-9.0, 9.0]).view(1, 1, 1, 2)).ravel().tolist() == [0, 255]


@pytest.mark.parametrize("room", [1e9, 0])
def test_a_source_gives_the_pictures_of_its_split(workspace, monkeypatch, room):
    monkeypatch.setattr("aigc_desktop.engine.training.data._room", lambda device: room)
    dataset = image_dataset(workspace, 12, held_out=4)
    source = ImageSource(dataset, "validation", torch.device("cpu"))
    assert len(source) == 4
    np.testing.assert_array_equal(to_pictures(source.images(np.array([1, 3]))), dataset.images("validation")[[1, 3]])
    assert source.labels(np.array([0, 1])).tolist() == dataset.labels("validation")[:2].tolist()


def test_mirroring_mirrors_about_half(workspace):
    dataset = image_dataset(workspace, 12, held_out=4)
    source = ImageSource(dataset, "train", torch.device("cpu"), flip=True)
    torch.manual_seed(0)
    index = np.zeros(400, np.int64)
    images, plain = source.images(index), to_model(torch.from_numpy(dataset.images("train")[:1]))
    mirrored = (images == plain.flip(3)).all(dim=(1, 2, 3))
    assert ((images == plain).all(dim=(1, 2, 3)) | mirrored).all()
    assert 150 < int(mirrored.sum()) < 250


def test_the_wrong_kind_of_data_is_refused(workspace):
    dataset = text_dataset(workspace, ["a", "b"])
    with pytest.raises(UserError, match="wrong kind"):
        open_dataset(new_run(workspace), dataset.id, "image")


# device


def test_a_device_that_is_not_there_is_said_plainly(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="no usable device") as caught:
        choose_device("cuda")
    assert "Processor" in caught.value.hint
    assert choose_device("cpu").type == "cpu"


def test_the_machine_is_described():
    machine = describe_machine()
    assert machine.cores >= 1 and machine.memory > 10**8 and machine.device in ("cpu", "cuda", "mps")


def test_the_probe_does_not_change_what_is_drawn_after_it():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    devices.bfloat16_pays.__wrapped__("cpu")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("float32", "bfloat16", "chosen"), [(1.0, 0.5, "bfloat16"), (1.0, 0.95, "float32")])
def test_bfloat16_must_be_clearly_faster(monkeypatch, float32, bfloat16, chosen):
    seconds = {"float32": float32, "bfloat16": bfloat16}
    monkeypatch.setattr(devices, "_seconds_of_steps", lambda: seconds)
    devices.bfloat16_pays.cache_clear()
    assert choose_precision("auto", torch.device("cpu")) == chosen
    devices.bfloat16_pays.cache_clear()
    assert choose_precision("float32", torch.device("cpu")) == "float32"


def test_fast_products_stay_exact():
    """Whatever multiplies float32 matrices after `set_up`, rounds no more than float32 does."""
    set_up(torch.device("cpu"), 0, 1)
    a, b = torch.randn(2, 300, 300)
    assert torch.allclose(a @ b, (a.double() @ b.double()).float(), atol=1e-4)


@pytest.mark.parametrize(("rounded", "factor", "taken"), [(False, 0.4, True), (False, 0.9, False), (True, 0.4, False)])
def test_products_are_taken_where_they_are_fast_and_exact(monkeypatch, rounded, factor, taken):
    now = 0.0

    def product(a, b, out):
        nonlocal now
        other = torch.backends.mkldnn.matmul.fp32_precision == "bf16"
        now += factor if other else 1.0
        exact = (a.double() @ b.double()).float()  # the machine of the test may round itself
        out.copy_((a.bfloat16() @ b.bfloat16()).float() if other and rounded else exact)

    monkeypatch.setattr(devices.time, "perf_counter", lambda: now)
    monkeypatch.setattr(devices.torch, "mm", product)
    assert all(devices._try_products.__wrapped__()) == taken


def test_small_models_stay_in_float32_on_a_processor(monkeypatch):
    monkeypatch.setattr(devices, "bfloat16_pays", lambda kind: True)
    assert choose_precision("auto", torch.device("cpu"), 800_000) == "float32"
    assert choose_precision("auto", torch.device("cpu"), 10_000_000) == "bfloat16"


def test_short_memory_is_known_by_its_errors():
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(torch.OutOfMemoryError("x"))
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    assert not is_out_of_memory(RuntimeError("size mismatch"))


# guard on a device that is not waited for: the same code runs with its tensors on the processor


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_without_waiting_a_bad_step_leaves_the_weights_alone(kind):
    guard = Guard(torch.device("cpu"))
    guard.device = torch.device("meta")  # any device but the processor
    layer = nn.Linear(4, 4, bias=False)
    optimizer = adamw([layer], 0.1) if kind == "adamw" else Muon(layer.parameters(), lr=0.1, weight_decay=0)
    before = layer.weight.detach().clone()
    for value in (torch.nan, torch.inf):
        layer.weight.grad = torch.full_like(layer.weight, value)
        guard.apply(optimizer, torch.tensor(value))
        guard.end_step()
    assert torch.equal(layer.weight, before)
    assert guard.bad_in_row() == 2
    layer.weight.grad = torch.randn(4, 4)
    guard.apply(optimizer, torch.tensor(1.0))
    guard.end_step()
    assert guard.bad_in_row() == 0
    assert not torch.equal(layer.weight, before) and layer.weight.isfinite().all()


def test_optimizers_go_on_with_their_moments():
    def stepped(layer, optimizer, seed):
        layer.weight.grad = torch.randn(3, 3, generator=torch.Generator().manual_seed(seed))
        optimizer.step()

    one, two = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
    first, second = adamw([one], 0.1), adamw([two], 0.1)
    for seed in range(3):
        stepped(one, first, seed)
    two.load_state_dict(one.state_dict())
    load_optimizer_tensors(second, {k: v.clone() for k, v in optimizer_tensors(first, "o").items()}, "o")
    for layer, optimizer in ((one, first), (two, second)):
        stepped(layer, optimizer, 9)
    assert torch.equal(one.weight, two.weight)


# meters


def test_means_leave_out_what_is_not_finite():
    means = MetricMeans()
    for value in (1.0, torch.nan, 3.0):
        means.add({"loss": torch.tensor(value), "always_bad": torch.tensor(torch.inf)})
    means.add({"rare": torch.tensor(7.0)})
    assert means.take() == {"loss": 2.0, "rare": 7.0}
    assert means.take() == {}


def test_a_stopwatch_stands_still_in_a_pause(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    watch = Stopwatch()
    now[0] = 5.0
    watch.pause()
    now[0] = 100.0
    assert watch.seconds == 5.0
    watch.go_on()
    now[0] = 101.0
    assert watch.seconds == 6.0


def test_time_left_counts_everything_between_the_steps():
    pace = Pace()
    assert pace.eta(0, 10, 0.0) is None
    for number in range(1, 5):
        pace.step(number, 0.5, 2.0 * number)  # half a second of step, the rest is validation and saving
    assert pace.eta(4, 10, 8.0) == pytest.approx(12.0)
    assert pace.steps_per_second == pytest.approx(2.0)
