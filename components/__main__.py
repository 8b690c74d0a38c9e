"""`python -m components`: what containers run."""

import sys

from components.cli.main import main

sys.exit(main())
