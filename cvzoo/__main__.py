"""`python -m cvzoo` is the command `cvzoo`."""

import sys

from cvzoo import cli

sys.exit(cli.main())
