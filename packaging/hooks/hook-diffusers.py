"""Collect diffusers: its modules also as text, which it looks into, and what it asks about its neighbours' versions."""

from PyInstaller.utils.hooks import copy_metadata

_ASKED_FOR = (
    "accelerate", "diffusers", "filelock", "httpcore2", "httpx2", "huggingface_hub", "importlib_metadata", "numpy",
    "packaging", "Pillow", "PyYAML", "regex", "requests", "safetensors", "tokenizers", "torch", "tqdm", "transformers",
)  # fmt: skip
datas = [entry for name in _ASKED_FOR for entry in copy_metadata(name)]
module_collection_mode = "pyz+py"
