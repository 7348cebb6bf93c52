"""Collect bitsandbytes where it is installed: of its libraries for many versions of CUDA only those torch can use.

It looks for them beside itself, and takes the nearest of the same major version.
"""

import re
from pathlib import Path

from PyInstaller.isolated import call
from PyInstaller.utils.hooks import collect_dynamic_libs


def _cuda_of_torch():
    """Return torch's version of CUDA, like "13.0", or "" without one."""
    import torch

    return torch.version.cuda or ""


def _is_used(path: str, cuda: str) -> bool:
    """Tell whether a library is the one for processors, or one for this major version of CUDA."""
    version = re.search(r"libbitsandbytes_(cpu|cuda(\d+)\d)\.", Path(path).name)
    return version is not None and (version[1] == "cpu" or version[2] == cuda.partition(".")[0])


_CUDA = call(_cuda_of_torch)
binaries = [entry for entry in collect_dynamic_libs("bitsandbytes") if _is_used(entry[0], _CUDA)]
