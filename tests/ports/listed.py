"""All cases, gathered from their modules."""

import importlib
import pkgutil

from tests.ports import cases
from tests.ports.backend import CASES

for _module in pkgutil.iter_modules(cases.__path__):
    importlib.import_module(f"tests.ports.cases.{_module.name}")

__all__ = ["CASES"]
