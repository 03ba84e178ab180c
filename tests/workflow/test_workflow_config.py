"""The configuration: presets, defaults, and that every error names its key."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest
import yaml

from avatarpipe.config import merge, resolve_config
from avatarpipe.errors import InputError
from avatarpipe.guidance.settings import GuidanceSettings
from avatarpipe.methods.animatable.settings import AnimatableSettings, animatable_settings
from avatarpipe.methods.layered.settings import StageSettings, stage_settings
from avatarpipe.schemas import read_yaml

ROOT = Path(__file__).parents[2]
PRESETS = ROOT / "config/presets"
SCHEMA = read_yaml(ROOT / "workflow/schemas/config.schema.yaml")


def resolved(**given) -> dict:
    return resolve_config(given, PRESETS, SCHEMA)


def test_the_default_config_holds_and_is_the_demo():
    config = resolve_config(read_yaml(ROOT / "config/config.yaml"), PRESETS, SCHEMA)
    assert config["preset"] == "demo"
    assert config["render"]["size"] == 256
    assert config["bodies"] == "free"


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.yaml")))
def test_every_preset_holds_and_its_stages_are_settings(preset):
    config = resolved(preset=preset)
    for stage in ("single", "inner", "outer"):
        settings = stage_settings(config["layered"][stage])
        assert settings.iterations == config["layered"][stage]["iterations"]


def test_presets_are_those_that_the_schema_offers():
    assert sorted(path.stem for path in PRESETS.glob("*.yaml")) == sorted(SCHEMA["properties"]["preset"]["enum"])


def test_given_keys_win_over_the_preset_and_the_preset_over_defaults():
    config = resolved(preset="tiny", render={"size": 96}, layered={"inner": {"iterations": 7}})
    tiny = read_yaml(PRESETS / "tiny.yaml")
    assert config["render"] == {
        "size": 96,
        "train_views": tiny["render"]["train_views"],
        "test_views": tiny["render"]["test_views"],
        "supersample": tiny["render"]["supersample"],
        "backend": "embree",
    }
    assert config["layered"]["inner"] == tiny["layered"]["inner"] | {"iterations": 7}
    assert config["layered"]["outer"] == tiny["layered"]["outer"]


def test_resolving_twice_changes_nothing():
    once = resolved(preset="fast", seed=3)
    assert resolve_config(once, PRESETS, SCHEMA) == once


def test_merge_leaves_its_arguments_alone():
    base, over = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merge(base, over) == {"a": {"b": 1, "c": 2}}
    assert base == {"a": {"b": 1}} and over == {"a": {"c": 2}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sed: 1", r"top level: unknown key 'sed'; did you mean 'seed'\?"),
        ("render: {veiws: 3}", r"config, render: unknown key 'veiws'"),
        ("layered: {inner: {iteratons: 3}}", r"layered\.inner: .*did you mean 'iterations'\?"),
        ("layered: {inner: {rates: {means: 1e-4}}}", r"layered\.inner\.rates\.means: .*1\.0e-4"),
        ("layered: {inner: {densify: {stop: -1}}}", r"layered\.inner\.densify\.stop: .*-1"),
        ("garment: hat", r"garment: 'hat' is not one of .*upper, lower or both"),
        ("render: {size: '256'}", r"render\.size: '256' is not a whole number.*pixels"),
        ("garment: upperr", r"garment: 'upperr' is not one of upper, lower, both; did you mean 'upper'\?"),
        ("render: {size: 8}", r"render\.size: 8 is less than the minimum of 32"),
        ("render: 256", r"render: 256 is not a group of keys"),
        ("seed: -1", r"seed: -1"),
        ("preset: ../../etc/passwd", r"preset: .*tiny"),
        ("datasets: {4d-dres: {root: x}}", r"datasets: .*did you mean '4d-dress'\?"),
        ("datasets: {4d-dress: x}", r"datasets\.4d-dress: 'x' is not a group of keys"),
        ("datasets: {avatarrex: {missing: ignore}}", r"datasets\.avatarrex\.missing: .*skip"),
    ],
)
def test_a_bad_value_is_named(text, says):
    with pytest.raises(InputError, match=says):
        resolve_config(yaml.safe_load(text), PRESETS, SCHEMA)


@pytest.mark.parametrize("text", ["drive: {fps: .nan}", "align: {tolerance: {agreement: .nan}}", "drive: {fps: .inf}"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(InputError, match=r"(fps|agreement): .*(nan|inf)"):
        resolve_config(yaml.safe_load(text), PRESETS, SCHEMA)


def test_a_number_of_thousands_of_digits_is_no_yaml(tmp_path):
    (tmp_path / "a.yaml").write_text("seed: " + "9" * 5000)
    with pytest.raises(InputError, match=r"a\.yaml: not valid YAML"):
        read_yaml(tmp_path / "a.yaml")


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "just words"])
def test_a_file_that_is_no_mapping_is_named(tmp_path, text):
    (tmp_path / "demo.yaml").write_text(text)
    with pytest.raises(InputError, match=r"demo\.yaml"):
        resolve_config({}, tmp_path, SCHEMA)


def test_a_preset_with_an_unknown_key_is_named(tmp_path):
    (tmp_path / "demo.yaml").write_text("rendr: {size: 64}\n")
    with pytest.raises(InputError, match=r"demo\.yaml, top level: unknown key 'rendr'"):
        resolve_config({}, tmp_path, SCHEMA)


def leaves(schema: dict, prefix: str = ""):
    """Every (name, part) of the schema that holds a value and not a mapping."""
    for name, part in schema.get("properties", {}).items():
        yield f"{prefix}{name}", part
        yield from leaves(part, f"{prefix}{name}.")


def test_every_key_is_described_and_every_mapping_is_closed():
    for root in (SCHEMA, SCHEMA["$defs"]["stage"]):
        for name, part in leaves(root):
            assert "$ref" in part or part.get("description"), name
            assert part.get("type") != "object" or part["additionalProperties"] is False or "propertyNames" in part, name


def known_settings(kind: type, prefix: str = ""):
    """Dotted names of the fields of a settings dataclass, nested ones included."""
    hints = get_type_hints(kind)
    for item in fields(kind):
        yield f"{prefix}{item.name}"
        if is_dataclass(hints[item.name]):
            yield from known_settings(hints[item.name], f"{prefix}{item.name}.")


def test_the_schema_offers_exactly_what_training_reads():
    offered = {name for name, _ in leaves(SCHEMA["$defs"]["stage"])}
    of_all_stages = {"guidance", *(f"guidance.{name}" for name in known_settings(GuidanceSettings))}
    assert offered == set(known_settings(StageSettings)) - of_all_stages


def test_the_schema_offers_guidance_as_it_is_and_defaults_are_the_same():
    part = SCHEMA["properties"]["layered"]["properties"]["guidance"]
    assert {name for name, _ in leaves(part)} == set(known_settings(GuidanceSettings))
    guided = stage_settings({"guidance": resolved()["layered"]["guidance"]})
    assert guided == StageSettings()


def trained_with(config: dict) -> dict:
    """What of the section `animatable` its training reads."""
    known = {item.name for item in fields(AnimatableSettings)}
    return {name: value for name, value in config["animatable"].items() if name in known}


def test_the_schema_offers_what_animatable_training_reads_with_the_published_numbers():
    part = SCHEMA["properties"]["animatable"]
    offered = {name for name, _ in leaves(part)}
    assert set(known_settings(AnimatableSettings)) <= offered
    nested = (name for name, kind in get_type_hints(AnimatableSettings).items() if is_dataclass(kind))
    for name in nested:
        assert set(part["properties"][name]["properties"]) == set(
            known_settings(get_type_hints(AnimatableSettings)[name])
        )
    assert animatable_settings(trained_with(resolved(preset="published"))) == AnimatableSettings()


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.yaml")))
def test_the_settings_of_animatable_avatars_hold_in_every_preset(preset):
    config = resolved(preset=preset)
    settings = animatable_settings(trained_with(config))
    assert settings.bases_from < settings.iterations >= settings.checkpoint_every
    assert settings.model.controls < settings.model.gaussians
