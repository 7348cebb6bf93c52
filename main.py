"""Start AIGC Desktop: the window, the engine process or the command line, by its arguments."""

import sys

from aigc_desktop.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
