"""`python -m coalition`: the same as the command `coalition`, for those who name their interpreter."""

import sys

from coalition.cli import main

if __name__ == "__main__":
    sys.exit(main())
