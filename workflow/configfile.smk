"""Read config/config.yaml; where it is no YAML, the error names the line, which Snakemake's own does not."""

from snakemake.exceptions import WorkflowError

from avatarpipe.errors import InputError
from avatarpipe.schemas import read_yaml

try:
    read_yaml("config/config.yaml")
except InputError as error:
    raise WorkflowError(str(error)) from None


configfile: "config/config.yaml"
