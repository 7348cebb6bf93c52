"""Published models from disk: their networks, tokenizers, conversion and decoding."""
