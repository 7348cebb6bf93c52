"""Copy a frozen data set as one that is not, so that its labels can change and be frozen anew."""

from __future__ import annotations

import shutil
from dataclasses import replace

from aigc_desktop.core.aspect import SQUARE
from aigc_desktop.core.dataset import Dataset, write_info
from aigc_desktop.core.files import atomic_folder, folder_size, need_space
from aigc_desktop.core.i18n import _
from aigc_desktop.core.workspace import Workspace

_LEFT_BEHIND = ("snapshot", "lock", "*.partial")


def copy_to_label(dataset: Dataset, workspace: Workspace) -> str:
    """Copy all but the snapshot and return the id of the copy; its labels come along."""
    title = _("{title} (labels)").format(title=dataset.info.title)
    target = workspace.new_dataset_folder(title)
    need_space(dataset.folder, folder_size(dataset.folder))
    with atomic_folder(target) as folder:
        shutil.copytree(dataset.folder, folder, ignore=shutil.ignore_patterns(*_LEFT_BEHIND), dirs_exist_ok=True)
        write_info(folder, replace(
            dataset.info, id=target.name, title=title, frozen=False, size=0, channels=0, train=0, validation=0,
            aspect=SQUARE,
        ))  # fmt: skip
    return target.name
