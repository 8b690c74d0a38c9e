"""`python -m pipelines`: the whole of `thaw`, where its console script is not installed."""

import sys

from pipelines.cli import main

sys.exit(main())
