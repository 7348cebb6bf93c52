"""What an evaluation tells of a model that writes: likelihood, words, variety, copies, meanings, and temperatures.

Quality over variety for several temperatures, beside a model of likelihood: arXiv:1811.02549.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace

from aigc_desktop.core.events import Event, Note, Progress
from aigc_desktop.core.family import Likelihood
from aigc_desktop.core.i18n import N_, _, ngettext
from aigc_desktop.core.report import BASELINE, OWN, REAL, Copied, Curve, Plot, Report, Section
from aigc_desktop.engine.evaluating.text_copies import copying
from aigc_desktop.engine.evaluating.text_material import (
    Batch,
    Heated,
    TextJob,
    Written,
    evenly,
    real_batch,
    write_all,
)
from aigc_desktop.engine.evaluating.text_meaning import (
    FRECHET,
    RealVectors,
    distance_of,
    meanings,
    open_encoder,
    real_vectors,
)
from aigc_desktop.engine.evaluating.text_surface import (
    BLEU,
    SELF_BLEU,
    bleu_of,
    reference_table,
    self_bleu_of,
    surface_of,
    surface_sections,
)
from aigc_desktop.engine.metrics.estimate import Estimate
from aigc_desktop.engine.metrics.figures import figure, mark
from aigc_desktop.engine.metrics.image import frechet_distance
from aigc_desktop.engine.metrics.text import ReferenceTable, bits_per_byte
from aigc_desktop.engine.pretrained.encoder import Encoder

SHOWN = 8
MEASURED_BYTES = 300_000  # of held-out text whose likelihood is measured
LONGEST_READ = 40_000  # letters of one of them
_SWEEP_ORDER = 4
_FEW = 20  # held-out texts, below which one more or less changes the figures
_LETTERS = 600  # of a text that is shown

METHODS = [
    N_("Intervals hold 95 %: texts are drawn again 200 times with replacement, always in the same way; references, "
       "counts of repeats, clusters and neighbourhoods stay as they are."),
    N_("Words are words, marks and single Chinese, Japanese or Korean characters. BLEU is against all held-out texts."),
]  # fmt: skip
MEANING_METHOD = N_(
    "Meanings are compared with training texts; the Fréchet distance is drawn again 30 times, and as copies make it "
    "greater, its spread is laid around the value."
)


def measure_texts(job: TextJob, report: Report) -> Generator[Event, str | None, Report]:
    """Return the report with its figures, plots and examples."""
    encoder = open_encoder(job)
    held_out = job.dataset.texts("validation")
    written = yield from write_all(job, report.count, report.seed)
    sections = yield from _likelihood(job)
    if not len(held_out):
        yield Note(_("No texts were held out, so BLEU and bits per byte are not available."), "warning")
    elif len(held_out) < _FEW:
        told = ngettext(
            "Only {count} text was held out: what is measured with it is rough.",
            "Only {count} texts were held out: what is measured with them is rough.", len(held_out),
        )  # fmt: skip
        yield Note(told.format(count=len(held_out)))
    table, words = yield from _words(job, written)
    sections += words
    copies, copied = yield from _copies(job, written)
    sections += copies
    real: RealVectors | None = None
    if encoder is None:
        yield Note(_("Meanings were not compared: no text encoder was chosen. One is imported on the Models page."))
    else:
        real = yield from real_vectors(job, encoder, len(written.main))
        if real is not None:
            sections.append((yield from meanings(job, encoder, written, real)))
    plots = yield from _sweep(job, written, table, encoder, real)
    methods = [*METHODS, *([MEANING_METHOD] if real is not None else [])]
    samples = [text if len(text) <= _LETTERS else text[:_LETTERS] + "…" for text in written.main.texts[:SHOWN]]
    return replace(
        report, sections=sections, plots=[*report.plots, *plots], copied=copied, samples=samples, methods=methods,
    )  # fmt: skip


def _likelihood(job: TextJob) -> Generator[Event, str | None, list[Section]]:
    """Return the bits per byte of held-out texts, for a family that has a likelihood."""
    family, held_out = job.family, job.dataset.texts("validation")
    if family.likelihood is None:
        yield Note(_("Bits per byte are not available: this kind of model has no likelihood."))
        return []
    chosen: list[str] = []
    size = 0
    for i in evenly(held_out, 2000):
        text = held_out[i][:LONGEST_READ]
        size += len(text.encode())
        if text:
            chosen.append(text)
        if size > MEASURED_BYTES:
            break
    if not chosen:
        yield from _nothing()
        return []
    likelihood = family.likelihood(job.folder, job.device)
    if likelihood is None:
        yield Note(_("Bits per byte are not available: this model answers requests, and texts alone have none."))
        return []
    found, unread = yield from _bits(likelihood, chosen)
    if unread:
        text = ngettext(
            "{count} held-out text has characters that the model does not know; bits per byte leave it out.",
            "{count} held-out texts have characters that the model does not know; bits per byte leave them out.",
            unread,
        )  # fmt: skip
        yield Note(text.format(count=unread), "warning")
    if found is None:
        return []
    twin = None
    if family.baseline_likelihood is not None:
        twin, _unread = yield from _bits(family.baseline_likelihood(job.folder, job.device), chosen)
    if family.likelihood_note:
        yield Note(_("Bits per byte: {note}").format(note=_(family.likelihood_note)))
    bits = figure(
        N_("Bits per byte"), found, "lower",
        N_("How well it foretells unseen real texts, whatever its tokens are; each end of a text counts as a byte."),
        headline=True, marks=[mark(BASELINE, twin)] if twin is not None else [],
    )  # fmt: skip
    return [Section(N_("Likelihood"), [bits])]


def _nothing() -> Generator[Event, str | None, None]:
    yield Progress(0, 0, _("Measuring {name}").format(name=_("Bits per byte")))


def _bits(likelihood: Likelihood, texts: list[str]) -> Generator[Event, str | None, tuple[Estimate | None, int]]:
    """Return the bits per byte of texts, and how many the model cannot read."""
    nats, sizes, unread = [], [], 0
    for number, (text, value) in enumerate(zip(texts, likelihood(texts), strict=True)):
        if math.isfinite(value):
            nats.append(value)
            sizes.append(len(text.encode()) + 1)
        else:
            unread += 1
        yield Progress(number + 1, len(texts), _("Measuring {name}").format(name=_("Bits per byte")))
    return (bits_per_byte(nats, sizes) if nats else None), unread


def _words(
    job: TextJob, written: Written
) -> Generator[Event, str | None, tuple[ReferenceTable | None, list[Section]]]:
    """Return the table of the held-out texts, and the figures of words."""
    real = real_batch(job.dataset.texts("train"), len(written.main))
    hot = [heated.batch for heated in written.heated]
    batches = [written.main, *([written.twin] if written.twin is not None else []), *hot]
    table = yield from reference_table(job.dataset.texts("validation"), [*batches, real])
    main = yield from surface_of(written.main, table)
    twin = (yield from surface_of(written.twin, table)) if written.twin is not None else None
    usual = (yield from surface_of(real, table)) if len(real) > 1 else None
    return table, surface_sections(main, twin, usual, len(real) == len(written.main))


def _copies(job: TextJob, written: Written) -> Generator[Event, str | None, tuple[list[Section], list[Copied]]]:
    training = job.dataset.texts("train")
    unseen = real_batch(job.dataset.texts("validation"), len(written.main))
    section, copied = yield from copying(written.main, written.twin, unseen, training)
    return [section], copied


def _sweep(
    job: TextJob, written: Written, table: ReferenceTable | None, encoder: Encoder | None, real: RealVectors | None
) -> Generator[Event, str | None, list[Plot]]:  # fmt: skip
    """Return quality over variety for each temperature: by BLEU, and by meaning when there is an encoder."""
    if job.sweep and not job.family.tempered:
        yield Note(_("Temperatures were not compared: this kind of model has none."))
    if not written.heated:
        return []
    points: list[tuple[Heated, float, float | None, float | None]] = []
    for heated in written.heated:
        point = yield from _point(job, heated, table, encoder, real)
        points.append(point)
    usual = yield from _real_point(job, table, real)
    says = N_("Each point is a temperature. Up and to the left is better: near to real texts, and varied.")
    plots = []
    if table is not None:
        curves = _curves([(heated, x, y) for heated, x, y, _far in points], usual[:2])
        plots.append(Plot(
            N_("Quality over variety, by words"), says, SELF_BLEU[_SWEEP_ORDER], BLEU[_SWEEP_ORDER], curves
        ))  # fmt: skip
    if real is not None:
        says = N_("Each point is a temperature. Down and to the left is better: near to real texts, and varied.")
        curves = _curves([(heated, x, far) for heated, x, _y, far in points], usual[::2])
        plots.append(Plot(N_("Quality over variety, by meaning"), says, SELF_BLEU[_SWEEP_ORDER], FRECHET, curves))
    return [plot for plot in plots if plot.curves]


def _point(
    job: TextJob, heated: Heated, table: ReferenceTable | None, encoder: Encoder | None, real: RealVectors | None
) -> Generator[Event, str | None, tuple[Heated, float, float | None, float | None]]:  # fmt: skip
    """Return self-BLEU, BLEU and distance of texts at one temperature, None for what cannot be measured."""
    orders = (_SWEEP_ORDER,)
    repeated = yield from self_bleu_of(heated.batch, orders)
    near = (yield from bleu_of(heated.batch, table, orders, own=False)) if table is not None else None
    far = None
    if encoder is not None and real is not None:
        far = yield from distance_of(job, encoder, heated.batch.texts, real.first)
    return heated, repeated[_SWEEP_ORDER].value, near[_SWEEP_ORDER].value if near else None, far


def _real_point(
    job: TextJob, table: ReferenceTable | None, real: RealVectors | None
) -> Generator[Event, str | None, tuple[float | None, float | None, float | None]]:  # fmt: skip
    """Return self-BLEU, BLEU and distance of as many training texts, None for what cannot be measured."""
    batch: Batch = real_batch(job.dataset.texts("train"), job.sweep)
    if len(batch) < max(2, job.sweep):
        return None, None, None
    repeated = yield from self_bleu_of(batch, (_SWEEP_ORDER,))
    near = (yield from bleu_of(batch, table, (_SWEEP_ORDER,), own=False)) if table is not None else None
    far = None
    if real is not None:
        far = frechet_distance(*(part[: job.sweep] for part in (real.first, real.second)))
    return repeated[_SWEEP_ORDER].value, near[_SWEEP_ORDER].value if near else None, far


def _curves(points: list[tuple[Heated, float, float | None]], usual: tuple[float | None, ...]) -> list[Curve]:
    """Return the curve of the model, the point of real texts, and the curve of the twin."""
    found: dict[str, Curve] = {}
    for twin, name in ((False, OWN), (True, BASELINE)):
        chosen = [(heated.temperature, x, y) for heated, x, y in points if heated.twin is twin and y is not None]
        if chosen:
            labels = [f"{temperature:g}" for temperature, _x, _y in chosen]
            found[name] = Curve(name, [x for _t, x, _y in chosen], [float(y) for _t, _x, y in chosen], labels)
    x, y = usual
    curves = list(found.values())
    if curves and x is not None and y is not None:
        curves.insert(1, Curve(REAL, [x], [y], [""]))
    return curves
