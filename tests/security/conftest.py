"""Makes the helpers of tests/workflow importable here: a copy of the workflow, and Snakemake run in it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
