"""`python -m lmspan` is the command line."""

import sys

from lmspan.cli import main

sys.exit(main())
