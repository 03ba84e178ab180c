"""Which Python each step of a chain is run with when it is run again."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from avatarpipe.environments import Environment, named_environment, own
from avatarpipe.errors import InputError
from avatarpipe.provenance_files import nearest_environments
from avatarpipe.reruns import Recorded

EVERY = ""  # a Python that is named for no step in particular
_BUILD = "snakemake --sdm conda --conda-create-envs-only --forceall"


def named_pythons(entries: Iterable[str], steps: Iterable[Recorded]) -> dict[str, Environment]:
    """By step what the user names, each STEP=PATH, or PATH for every step that is not named.

    InputError where a step is not among those given, or a Python does not run.
    """
    known, named = {recorded.step for recorded in steps}, {}
    for entry in entries:
        step, given, path = entry.partition("=")
        if given and step not in known:
            raise InputError(
                f"--python {entry}: {step} is not among the steps {', '.join(sorted(known))}."
            )
        named[step if given else EVERY] = named_environment(Path(path if given else entry))
    return named


def pythons(steps: Iterable[Recorded], named: Mapping[str, Environment]) -> dict[Path, Environment]:
    """By provenance file: the named environment, else the step's own of then or one built of the same file, else this one.

    An environment is taken if Snakemake built it here and every package that the step needs is there in the version of then,
    but for what follows "+", which tells builds of one version apart; a named one as it is. InputError tells of all steps that
    none is left for.
    """
    chosen, left = {}, []
    for recorded in steps:
        by_name = named.get(recorded.step) or named.get(EVERY)
        there = (
            [by_name] if by_name else nearest_environments(recorded.document, recorded.path.parent)
        )
        fitting = [candidate for candidate in there if by_name or _fits(candidate, recorded)]
        if fitting:
            chosen[recorded.path] = fitting[0]
        else:
            left.append(recorded)
    if left:
        raise InputError(_refusal(left))
    return chosen


def _fits(there: Environment, recorded: Recorded) -> bool:
    return there.is_of_this_place and not _lacks(there, recorded)


def _needed(recorded: Recorded) -> dict[str, str]:
    """Version of then by package; all that were loaded, where it is not told which of them the step needs."""
    packages = recorded.document["packages"]
    needs = recorded.document.get("needs", list(packages))
    return {name: version for name, version in packages.items() if name in needs}


def _lacks(there: Environment, recorded: Recorded) -> dict[str, str | None]:
    """The version there, or None, of each package that the step needs and that is not there as it was."""
    needed = _needed(recorded)
    return {
        name: found
        for name, found in there.differences(needed).items()
        if found is None or _release(found) != _release(needed[name])
    }


def _release(version: str) -> str:
    """A version without the label of its build, such as 2.13.0 of 2.13.0+cpu."""
    return version.partition("+")[0]


def _refusal(left: list[Recorded]) -> str:
    """What is lacking, for steps that lack the same in one sentence, and the two ways out."""
    by_lack: dict[tuple[str, str], dict[str, None]] = {}
    for recorded in left:
        by_lack.setdefault((_lack(recorded), _ways_to_build(recorded)), {})[recorded.step] = None
    told = [
        f"{', '.join(steps)}: the environment of then is gone, has changed or was not built here, and this Python lacks {lack}. {build}"
        for (lack, build), steps in by_lack.items()
    ]
    steps = list(dict.fromkeys(recorded.step for recorded in left))
    options = (
        " ".join(f"--python {step}=PATH" for step in steps) if len(steps) < 4 else "--python PATH"
    )
    return f"{' '.join(told)} Or name a Python to run it with, which is taken as it is: {options}."


def _lack(recorded: Recorded) -> str:
    needed = _needed(recorded)
    lacks = _lacks(own(), recorded)
    return ", ".join(
        f"{name} {needed[name]} (here {found or 'none'})" for name, found in lacks.items()
    )


def _ways_to_build(recorded: Recorded) -> str:
    """How to have the environment of then again: as Snakemake built it, or by installing what is lacking here."""
    file = recorded.document["run"].get("environment", {}).get("file")
    if file:
        return f"Build it of {file} as it was: `{_BUILD}`."
    needed = _needed(recorded)
    wanted = [f"{name}=={_release(needed[name])}" for name in _lacks(own(), recorded)]
    return f"Install them: `pip install {' '.join(wanted)}`."
