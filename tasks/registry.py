"""Finds the kinds: every module in ``tasks.kinds``, and in the packages that ``TURNOUT_KINDS`` adds, declares one."""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping

from tasks.errors import InvalidInput
from tasks.kind import Kind


def load_kinds(extra_packages: Iterable[str] = ()) -> Mapping[str, Kind]:
    """All kinds by name. Raises ``ValueError`` if a module declares none, or two declare the same name."""
    found: dict[str, Kind] = {}
    for package_name in ("tasks.kinds", *extra_packages):
        package = importlib.import_module(package_name)
        for module_info in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package_name}.{module_info.name}")
            declared = [value for value in vars(module).values() if isinstance(value, Kind)]
            if len(declared) != 1:
                raise ValueError(
                    f"{module.__name__} declares {len(declared)} kinds; a kind's file declares exactly one"
                )
            kind = declared[0]
            if kind.name in found:
                raise ValueError(f"kind {kind.name!r} is declared twice")
            found[kind.name] = kind
    return found


def kind_named(kinds: Mapping[str, Kind], name: str) -> Kind:
    """The kind of that name; raises ``InvalidInput`` that lists the known ones."""
    try:
        return kinds[name]
    except KeyError:
        raise InvalidInput(f"There is no kind {name!r}; known kinds: {', '.join(sorted(kinds))}.") from None
