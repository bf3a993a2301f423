"""`python -m sadtalker_ext` is the `sadtalker` command."""

import sys

from .cli import main

sys.exit(main())
