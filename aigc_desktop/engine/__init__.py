"""Training and generating with torch; no Qt."""

import os

# The compiler needs a C++ toolchain that a user's machine does not have, and was slower on processors.
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
