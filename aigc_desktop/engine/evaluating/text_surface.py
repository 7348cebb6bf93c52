"""Words of texts: how many of their runs real texts have too, how much texts repeat each other and themselves."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from aigc_desktop.core.dataset import Texts
from aigc_desktop.core.events import Event, Progress
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.report import BASELINE, REAL, Figure, Mark, Section
from aigc_desktop.engine.evaluating.text_material import Batch, parts_of
from aigc_desktop.engine.metrics.estimate import Estimate, bootstrap_mean
from aigc_desktop.engine.metrics.figures import figure, mark
from aigc_desktop.engine.metrics.text import (
    ORDERS,
    Gram,
    ReferenceTable,
    distinct_estimate,
    metric_tokens,
    ngrams,
    unique_estimate,
)

_AT_ONCE = 64

BLEU = {2: N_("BLEU-2 (pairs of words)"), 3: N_("BLEU-3 (3 words)"), 4: N_("BLEU-4 (4 words)"),
        5: N_("BLEU-5 (5 words)")}  # fmt: skip
SELF_BLEU = {2: N_("Self-BLEU-2 (pairs of words)"), 3: N_("Self-BLEU-3 (3 words)"), 4: N_("Self-BLEU-4 (4 words)"),
             5: N_("Self-BLEU-5 (5 words)")}  # fmt: skip
DISTINCT = {1: N_("Distinct-1 (words)"), 2: N_("Distinct-2 (pairs of words)"), 3: N_("Distinct-3 (3 words)")}
UNIQUE = N_("Different texts")
_BLEU_SAYS = N_("How far its runs of words are those of unseen real texts; above real data it writes stock phrases.")
_SELF_SAYS = N_("How alike the texts are among each other; well above real data they repeat one pattern.")
_DISTINCT_SAYS = N_("Share of runs of words that are new; compare it at equal amounts of text only.")
_UNIQUE_SAYS = N_("Share of texts that no other text equals word for word.")


@dataclass(frozen=True)
class Surface:
    """Measurements of one batch, by length of the runs."""

    unique: Estimate
    bleu: dict[int, Estimate] = field(default_factory=dict)
    self_bleu: dict[int, Estimate] = field(default_factory=dict)
    distinct: dict[int, Estimate] = field(default_factory=dict)


def reference_table(held_out: Texts, batches: list[Batch]) -> Generator[Event, str | None, ReferenceTable | None]:
    """Return the table of all held-out texts for BLEU of these batches; None without any. Yields Progress."""
    wanted: set[Gram] = set()
    for batch in batches:
        for text in batch.tokens:
            for n in range(1, max(ORDERS) + 1):
                wanted.update(ngrams(text, n))
        yield Progress(0, 0, _("Reading the held-out texts"))
    table = ReferenceTable((), max(ORDERS), wanted)
    for number, whole in enumerate(held_out):
        for part in parts_of(whole):
            if tokens := metric_tokens(part):
                table.add(tokens)
        if number % _AT_ONCE == 0:
            yield Progress(number, len(held_out), _("Reading the held-out texts"))
    return table if table.lengths else None


def bleu_of(
    batch: Batch, table: ReferenceTable, orders: tuple[int, ...], own: bool
) -> Generator[Event, str | None, dict[int, Estimate]]:
    """Return BLEU of a batch by order; the interval resamples its texts, the references stay."""
    phase = _("Comparing the texts with each other") if own else _("Comparing with held-out texts")
    rows = []
    for number, text in enumerate(batch.tokens):
        rows.append(table.score(text, orders, own))
        if number % _AT_ONCE == 0:
            yield Progress(number, len(batch), phase)
    return {n: bootstrap_mean([row[i] for row in rows]) for i, n in enumerate(orders)}


def self_bleu_of(batch: Batch, orders: tuple[int, ...]) -> Generator[Event, str | None, dict[int, Estimate]]:
    """Return BLEU of each text against all others, by order."""
    table = ReferenceTable((), max(orders))
    for number, text in enumerate(batch.tokens):
        table.add(text)
        if number % _AT_ONCE == 0:
            yield Progress(number, len(batch), _("Comparing the texts with each other"))
    return (yield from bleu_of(batch, table, orders, own=True))


def surface_of(batch: Batch, table: ReferenceTable | None) -> Generator[Event, str | None, Surface]:
    """Return all measurements of a batch; BLEU only with a table of held-out texts."""
    bleu = (yield from bleu_of(batch, table, ORDERS, own=False)) if table is not None else {}
    repeated = yield from self_bleu_of(batch, ORDERS)
    distinct = {n: distinct_estimate(batch.tokens, n) for n in DISTINCT}
    return Surface(unique_estimate(batch.tokens), bleu, repeated, {n: e for n, e in distinct.items() if e is not None})


def surface_sections(main: Surface, twin: Surface | None, real: Surface | None, as_many: bool) -> list[Section]:
    """Return the figures; `as_many` says that there are as many real texts, so that their variety compares too."""

    def marks(part: str, n: int, of_real: bool) -> list[Mark]:
        found = []
        for name, other in ((REAL, real if of_real else None), (BASELINE, twin)):
            estimates = {} if other is None else getattr(other, part)
            found += [mark(name, estimates[n])] if n in estimates else []
        return found

    near = [
        figure(BLEU[n], found, "higher", _BLEU_SAYS, marks=marks("bleu", n, True), headline=n == 4)
        for n, found in main.bleu.items()
    ]
    variety = [
        figure(SELF_BLEU[n], found, "lower", _SELF_SAYS, marks=marks("self_bleu", n, as_many), headline=n == 4)
        for n, found in main.self_bleu.items()
    ]
    variety += [
        figure(DISTINCT[n], found, "higher", _DISTINCT_SAYS, marks=marks("distinct", n, as_many))
        for n, found in main.distinct.items()
    ]
    variety.append(_unique(main, twin, real if as_many else None))
    sections = [Section(N_("Nearness to real texts"), near), Section(N_("Variety"), variety)]
    return [section for section in sections if section.figures]


def _unique(main: Surface, twin: Surface | None, real: Surface | None) -> Figure:
    marks = [mark(name, other.unique) for name, other in ((REAL, real), (BASELINE, twin)) if other is not None]
    return figure(UNIQUE, main.unique, "higher", _UNIQUE_SAYS, marks=marks, headline=True)
