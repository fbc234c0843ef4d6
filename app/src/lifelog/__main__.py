"""`python -m lifelog`."""

import sys

from lifelog.cli import main

if __name__ == "__main__":
    sys.exit(main())
