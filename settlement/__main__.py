"""`python -m settlement`: the month as a job. Ends with 0 done, 2 nothing to do, 1 a human is needed."""

import sys

from settlement.cli import main

if __name__ == "__main__":
    sys.exit(main())
