"""Instrumentors: what they say of the versions of their library."""

import tomllib
from pathlib import Path

import pytest

from lmspan.instrumentation import LIBRARIES, load
from lmspan.instrumentation.genai import GenAIInstrumentor

PYPROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())


OFFICIAL = [name for name in LIBRARIES if isinstance(load(name), GenAIInstrumentor)]
OWN = [name for name in LIBRARIES if name not in OFFICIAL]


@pytest.mark.parametrize("name", OWN)
def test_the_extra_installs_what_the_instrumentor_is_made_for(name):
    instrumentor = load(name)
    [extra] = PYPROJECT["project"]["optional-dependencies"][name]
    assert extra.startswith(instrumentor.requirement)
    assert instrumentor.requirement.startswith(f"{instrumentor.module}>={instrumentor.tested[0]}")
    assert tuple(instrumentor.instrumentation_dependencies()) == (instrumentor.requirement,)


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_extra_installs_the_official_instrumentation_and_its_library(name):
    instrumentor = load(name)
    [extra] = PYPROJECT["project"]["optional-dependencies"][name]
    assert extra.replace("[instruments]", "") == instrumentor.requirement
    assert instrumentor.name == name
    assert tuple(instrumentor.instrumentation_dependencies()) == (instrumentor.requirement,)


@pytest.mark.parametrize("name", OWN)
def test_opentelemetry_finds_the_instrumentor_by_its_entry_point(name):
    library = LIBRARIES[name]
    points = PYPROJECT["project"]["entry-points"]["opentelemetry_instrumentor"]
    assert points[f"lmspan-{name}"] == f"{library.instrumentor}:{library.class_name}"
