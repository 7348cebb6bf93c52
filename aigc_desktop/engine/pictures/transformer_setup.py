"""Settings of the image Transformer, its presets, and the plan shown before it is trained."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from aigc_desktop.core.config import again, param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.family import Plan
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _, ngettext
from aigc_desktop.core.machine import Machine
from aigc_desktop.engine.nn.picture_tokenizer import PictureTokenizer, TokenizerShape
from aigc_desktop.engine.nn.token_transformer import TokenTransformer, TransformerShape
from aigc_desktop.engine.pictures.caption_words import CaptionWords, caption_notes, words_of
from aigc_desktop.engine.pictures.plan import cost_of, seconds_per_gigaflop
from aigc_desktop.engine.pictures.setup import (
    PATIENCE,
    LabelledConfig,
    best_version_notes,
    class_notes,
    classes_of,
    plain_notes,
    preset,
    size_notes,
)
from aigc_desktop.engine.pictures.tokens_setup import (
    FAMILY_NAME,
    FEATURE_WEIGHT,
    LEAST_ITEMS,
    TokenizerConfig,
    automatic_preset,
    hungry_note,
    reading_cost,
)
from aigc_desktop.engine.training.planning import Draft, choose_preset, training_megabytes

KEPT_PER_LAYER = 24  # numbers of a token, in units of the width, that a layer keeps for the gradients


class ImageTransformerConfig(TokenizerConfig, LabelledConfig):
    """Settings of training an image Transformer; the presets choose them."""

    tokens: str = param(
        "", N_("Image tokens"),
        N_("A training of image tokens to build on, with its picture size; without one they are learned first."),
        kind=FieldKind.RUN, family=FAMILY_NAME, advanced=True,
    )  # fmt: skip
    masked: bool = param(
        True, N_("Draw many places at once"),
        N_("A picture is there in 8 to 16 steps, and parts of one can be painted anew; off draws token by token."),
    )  # fmt: skip
    use_captions: bool = param(
        True, N_("Use captions"),
        N_("Learn what the captions of the pictures say, so that you can ask for pictures in such words."),
    )  # fmt: skip
    steps: int = again(LabelledConfig, "steps", 6000)
    tokenizer_share: float = param(
        0.35, N_("Share for the tokens"),
        N_("Share of the steps that learn the tokens, before the rest learns to write them; with chosen tokens, none."),
        ge=0.05, le=0.9, advanced=True,
    )  # fmt: skip
    channels: int = param(
        32, N_("Channels"),
        N_("Channels of the tokenizer at its finest stage, a multiple of 8; more copy more exactly and take longer."),
        ge=8, le=512, advanced=True,
    )  # fmt: skip
    width: int = param(
        128, N_("Width"), N_("Numbers per token inside the network; twice as wide takes four times as long."),
        ge=16, le=4096, advanced=True,
    )  # fmt: skip
    layers: int = param(
        6, N_("Layers"), N_("Blocks of the Transformer; more is better and slower."), ge=1, le=96, advanced=True
    )
    heads: int = param(
        4, N_("Heads"), N_("Parallel attentions; the width must be a multiple of four times their number."),
        ge=1, le=64, advanced=True,
    )  # fmt: skip
    dropout: float = param(
        0.1, N_("Dropout"), N_("Share of numbers set to zero while training; up to 0.3 helps with few pictures."),
        ge=0.0, le=0.9, advanced=True,
    )  # fmt: skip
    class_dropout: float = param(
        0.1, N_("Forgetting class and caption"),
        N_("How often both are kept secret of a picture; guidance when generating needs some of it."),
        ge=0.0, le=0.9, advanced=True,
    )  # fmt: skip
    writing_lr: float = param(
        2e-3, N_("Learning rate of the Transformer"),
        N_("How far an update of the Transformer goes; the other rate is for the tokens. Keep the preset's."),
        ge=1e-7, le=1.0, advanced=True,
    )  # fmt: skip
    weight_decay: float = again(LabelledConfig, "weight_decay", 0.03)

    @model_validator(mode="after")
    def _heads_fit(self) -> ImageTransformerConfig:
        if self.width % (4 * self.heads):
            raise ValueError(_("The width must be a multiple of four times the number of heads."))
        return self

    def tokenizer_channels(self) -> int:
        """Return the channels of the tokenizer; `width` is that of the Transformer."""
        return self.channels

    def tokenizer_steps(self) -> int:
        """Return how many of the steps learn the tokens."""
        return 0 if self.tokens else round(self.tokenizer_share * self.steps)

    def shape(
        self, tokenizer: TokenizerShape, codes: int, classes: int, words: CaptionWords | None = None
    ) -> TransformerShape:
        """Return the size of the Transformer over such tokens, and of what reads the captions."""
        known = {} if words is None else {"words": len(words.words), "caption": words.read}
        return TransformerShape(
            codes, tokenizer.side, self.layers, self.width, self.heads, classes, self.masked, self.dropout, **known
        )


PRESETS = [
    preset(
        "cpu32", N_("Small, 32 px"), N_("For a machine without graphics card: rough small pictures in half an hour."),
        resolution="32", channels=32, width=128, layers=6, heads=4, batch_size=32, steps=6000,
    ),
    preset(
        "cpu64", N_("Medium, 64 px"), N_("For a machine without graphics card and a night."),
        resolution="64", channels=32, width=192, layers=6, heads=6, batch_size=32, steps=25_000,
        codes="1000", feature_weight=FEATURE_WEIGHT,
    ),
    preset(
        "gpu64", N_("64 px on a graphics card"), N_("The usual choice for icons and small pictures."),
        resolution="64", channels=96, blocks=2, codes="1000", width=384, layers=12, heads=6, batch_size=64,
        steps=60_000, lr=1e-3, feature_weight=FEATURE_WEIGHT, writing_lr=5e-4, dropout=0.2,
        validate_every=1000, sample_every=1000, patience=PATIENCE,
    ),
    preset(
        "gpu128", N_("128 px on a graphics card"), N_("The most detail."),
        resolution="128", channels=96, blocks=2, codes="1000", width=512, layers=12, heads=8, batch_size=64,
        steps=100_000, lr=1e-3, feature_weight=FEATURE_WEIGHT, writing_lr=4e-4, dropout=0.2, validate_every=2000,
        sample_every=2000, patience=PATIENCE,
    ),
]  # fmt: skip


def plan(values: dict[str, Any], preset: str, dataset: Dataset | None, machine: Machine) -> Plan:
    """Return size, time, memory and problems of a training; a preset is chosen from the data and the machine.

    The tokenizer of a chosen run is taken to be as large as one that these settings make. As for the tokens, no
    time to a good result is told.
    """
    chosen = choose_preset(PRESETS, preset, automatic_preset(dataset, machine))
    draft = Draft(ImageTransformerConfig, values, chosen)
    draft.check_data(dataset, "image", LEAST_ITEMS)
    config = draft.config
    if config is None:
        return Plan(chosen.name, PRESETS, draft.values, problems=draft.problems, device=machine.device)
    reading = config.tokenizer_shape()
    captions, words = words_of(dataset) if config.use_captions else ([], None)
    shape = config.shape(reading, int(config.codes), classes_of(config, dataset), words)
    tokenizer, writer = reading_cost(config), cost_of(lambda: TokenTransformer(shape))
    parameters = tokenizer.parameters + writer.parameters
    places = shape.before + shape.places
    writing = places * (writer.gigaflops + 2e-9 * shape.codes * shape.width)  # cost_of counts one token
    kept = max(
        tokenizer.activations,
        places * (shape.layers * KEPT_PER_LAYER * shape.width + 3 * shape.codes)
        + shape.layers * shape.heads * places**2,
    )
    memory, disk = training_megabytes(parameters, parameters, 4.0 * config.batch_size * kept)
    draft.check_machine(machine, memory)
    pace = seconds_per_gigaflop(PictureTokenizer, (reading,), parameters, config.device, machine)
    share = config.tokenizer_steps() / config.steps
    encoding = cost_of(lambda: PictureTokenizer(reading)).gigaflops
    per_image = pace and pace * (
        share * 3 * tokenizer.gigaflops + (1 - share) * (3 * writing + 0.5 * encoding)
    )
    return Plan(
        chosen.name, PRESETS, draft.values, parameters, dataset.info.train if dataset is not None else 0,
        config.steps, per_image and per_image * config.steps * config.batch_size,
        None, memory, disk, machine.device_name or machine.device, draft.problems,
        _notes(config, dataset, captions, words),
    )  # fmt: skip


def _notes(
    config: ImageTransformerConfig, dataset: Dataset | None, captions: list[str], words: CaptionWords | None
) -> list[str]:
    notes = [
        hungry_note(), *size_notes(config, dataset), *plain_notes(dataset), *class_notes(config, dataset),
        *_caption_notes(config, dataset, captions, words), *best_version_notes(dataset),
    ]  # fmt: skip
    if config.tokenizer_steps():
        first = _("The first {count} steps learn the tokens; until then you see copies of held-out pictures.")
        notes.insert(0, first.format(count=f"{config.tokenizer_steps():,}"))
    return notes


def _caption_notes(
    config: ImageTransformerConfig, dataset: Dataset | None, captions: list[str], words: CaptionWords | None
) -> list[str]:
    if dataset is None or not config.use_captions:
        return []
    if words is None:
        return [_("No picture has a caption. With a text file of the same name beside each, you can ask in words.")]
    notes = caption_notes(captions, words)
    if all(captions):
        text = ngettext(
            "Every picture has a caption; together they have {count} word.",
            "Every picture has a caption; together they have {count} words.", len(words.words),
        )  # fmt: skip
        notes.insert(0, text.format(count=f"{len(words.words):,}"))
    return notes
