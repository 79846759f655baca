"""Find locations that are another dataset's or another environment's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from loaders.checking.environment import Environment
from loaders.checking.findings import Finding
from loaders.checking.places import Place, named_dataset, places, words
from loaders.names import did_you_mean, quoted


def shared_locations(environments: Sequence[Environment]) -> Iterator[Finding]:
    """Yield locations of two datasets, of two environments, and those that two datasets have exchanged."""
    by_environment = {environment.name: places(environment) for environment in environments}
    for found in by_environment.values():
        yield from _of_two_datasets(found)
    yield from _exchanged(by_environment)
    yield from _of_other_environments([place for found in by_environment.values() for place in found])


def unknown_partners(environments: Sequence[Environment], known: Sequence[str]) -> Iterator[Finding]:
    """Yield names in `shared_with` that are no environments."""
    for environment in environments:
        for number, name in enumerate(environment.config.settings.shared_with):
            if name not in known:
                yield Finding(
                    rule="config",
                    expected=f"names of environments in 'shared_with': {quoted(known)}",
                    found=f"'{name}'",
                    fix=f"Correct or remove it.{did_you_mean(name, known)}",
                    **environment.at("shared_with", str(number)),
                )


def _of_two_datasets(found: Sequence[Place]) -> Iterator[Finding]:
    for first, second in combinations(found, 2):
        if first.dataset == second.dataset or not (first.covers(second) or second.covers(first)):
            continue
        if first.name == second.name and not (first.is_read_directly and second.is_read_directly):
            # A database, or a folder that both find their files in.
            continue
        culprit, other = (second, first) if _names_itself(first, found) else (first, second)
        if _names_itself(first, found) == _names_itself(second, found):
            culprit, other = second, first
        yield Finding(
            rule="location-twice",
            expected="data of its own for each dataset",
            found=f"'{culprit.location.shown}', from which '{other.dataset}' is read too ({other.origin})",
            fix="Correct one of them; if both datasets are really in one place, pass --ignore location-twice.",
            dataset=culprit.dataset,
            **culprit.at,
        )


def _names_itself(place: Place, found: Sequence[Place]) -> bool:
    return named_dataset(place.stem, {other.dataset for other in found}) == place.dataset


def _exchanged(by_environment: dict[str, list[Place]]) -> Iterator[Finding]:
    """Yield pairs of datasets whose locations are exchanged, by the names in them or by the other environments."""
    for found in by_environment.values():
        single = [place for place in found if [other.dataset for other in found].count(place.dataset) == 1]
        for first, second in combinations(single, 2):
            if first.stem == second.stem:
                continue
            if _by_name(first, second, found) or _by_others(first, second, by_environment):
                yield Finding(
                    rule="location-swapped",
                    expected=f"the locations of '{first.dataset}' and '{second.dataset}', each under its own input",
                    found=f"'{first.location.shown}' for '{first.dataset}' and '{second.location.shown}' for "
                    f"'{second.dataset}' ({second.origin})",
                    fix="Exchange the two values.",
                    dataset=first.dataset,
                    **first.at,
                )


def _by_name(first: Place, second: Place, found: Sequence[Place]) -> bool:
    datasets = {place.dataset for place in found}
    named = (named_dataset(first.stem, datasets), named_dataset(second.stem, datasets))
    return named == (second.dataset, first.dataset)


def _by_others(first: Place, second: Place, by_environment: dict[str, list[Place]]) -> bool:
    """Return whether more environments have the two names the other way round than as they are here."""
    alike = reversed_ = 0
    for found in by_environment.values():
        stems = {place.dataset: place.stem for place in found}
        pair = (stems.get(first.dataset), stems.get(second.dataset))
        alike += pair == (first.stem, second.stem)
        reversed_ += pair == (second.stem, first.stem)
    return reversed_ > alike


def _of_other_environments(found: Sequence[Place]) -> Iterator[Finding]:
    """Yield locations in what is another environment's, unless `shared_with` says so; each once."""
    owners: dict[int, Place] = {}
    pairs = [pair for pair in combinations(found, 2) if _are_apart(*pair)]
    # An owner of the very same file explains more than one of the same bucket.
    for first, second in sorted(pairs, key=lambda pair: pair[0].path != pair[1].path):
        for visitor, owner in ((first, second), (second, first)):
            if _visits(visitor, owner):
                owners.setdefault(id(visitor), owner)
    for first, second in pairs:
        if id(first) not in owners and id(second) not in owners and _share(first, second):
            is_first = _is_away(first, found) and not _is_away(second, found)
            owners[id(first if is_first else second)] = second if is_first else first
    for place in found:
        if id(place) in owners:
            yield _visit(place, owners[id(place)])


def _visit(place: Place, owner: Place) -> Finding:
    other = owner.environment.name
    private = place.is_in_bucket and not place.is_public
    what = f"as environment {other} has it" if place.path == owner.path else f"where environment {other} has its data"
    return Finding(
        rule="location-shared",
        severity="error" if private else "warning",
        expected="data of its own in each environment",
        found=f"'{place.location.shown}', {what} ({owner.origin})",
        fix=f"Correct it, or write 'shared_with: [{other}]' if they share the data on purpose.",
        dataset=place.dataset,
        **place.at,
    )


def _are_apart(first: Place, second: Place) -> bool:
    """Return whether two places are of different environments that should share nothing."""
    one, other = first.environment, second.environment
    agreed = other.name in one.config.settings.shared_with or one.name in other.config.settings.shared_with
    return one is not other and first.store == second.store and not agreed


def _visits(place: Place, owner: Place) -> bool:
    """Return whether a bucket or folder names the owner's environment, and not its own."""
    if not place.is_in_bucket:
        return False
    named = words(place.folder) & words(owner.folder) & words(owner.environment.name)
    return bool(named) and not words(place.folder) & words(place.environment.name)


def _share(first: Place, second: Place) -> bool:
    """Return whether two environments have one file, or files in one folder of a bucket without a name of their own."""
    if first.path == second.path:
        return True
    named = any(words(place.path) & words(place.environment.name) for place in (first, second))
    return first.is_in_bucket and first.folder == second.folder and not named


def _is_away(place: Place, found: Sequence[Place]) -> bool:
    """Return whether at most half of an environment's locations lie in this one's folder."""
    own = [other for other in found if other.environment is place.environment]
    return 2 * sum(other.folder == place.folder for other in own) <= len(own)
