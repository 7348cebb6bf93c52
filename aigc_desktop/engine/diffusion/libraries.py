"""diffusers and transformers, imported when a diffusion model is first used: they take seconds and speak to a hub.

Both read their switches when they are imported, so the switches come first. Classes are looked up by names of
data/pipeline_lines.py only.
"""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

from aigc_desktop.core.offline import SWITCHES
from aigc_desktop.data.pipeline_lines import LIBRARIES, SAFETY

_QUIET = {"DIFFUSERS_VERBOSITY": "critical", "TRANSFORMERS_VERBOSITY": "critical"}


@cache
def library(name: str) -> ModuleType:
    """Return "diffusers" or "transformers", without its advice and without progress bars of its own."""
    os.environ.update({**SWITCHES, **_QUIET})
    with quiet(), _no_probe():
        if name == "diffusers":
            import diffusers

            diffusers.utils.logging.disable_progress_bar()
            return diffusers
        import transformers

        transformers.utils.logging.disable_progress_bar()
        return transformers


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out warnings: the libraries advise whoever publishes a model, not its user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _no_probe() -> Iterator[None]:
    """Keep urllib3, which comes along, from opening a socket when it is imported, to see whether IPv6 works."""
    before, socket.has_ipv6 = socket.has_ipv6, False
    try:
        yield
    finally:
        socket.has_ipv6 = before


def class_of(kind: str) -> Any:
    """Return the class of a part by its name; KeyError for one that is not allowed."""
    if kind == SAFETY:
        library("diffusers")
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

        return StableDiffusionSafetyChecker
    found = library(LIBRARIES[kind])
    if kind in ("CLIPImageProcessor", "CLIPFeatureExtractor"):  # the other one needs torchvision
        return found.CLIPImageProcessorPil
    return getattr(found, kind)
