import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def pins(text: str) -> dict[str, str]:
    """{package: version} of every exact pin in the text."""
    return dict(re.findall(r"([A-Za-z0-9_-]+)==([^\s#]+)", text))


def test_the_environment_of_sapiens_pins_what_the_pipeline_pins():
    own = pins((ROOT / "envs" / "sapiens.yaml").read_text())
    everywhere = pins((ROOT / "requirements.txt").read_text())
    assert {"torch", "numpy", "opencv-python-headless", "pyarrow", "tyro", "rich"} <= own.keys()
    assert {name: everywhere.get(name) for name in own} == own
