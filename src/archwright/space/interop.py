"""Spaces from and to Optuna and ConfigSpace."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archwright.errors import SpaceError, require
from archwright.space.parameters import Choice, Integer, Parameter, Real, plain

if TYPE_CHECKING:
    from archwright.space.space import Space


def to_optuna(space: Space) -> dict[str, Any]:
    """Optuna distributions by name; conditions stay outside, as Optuna has none."""
    return {name: _distribution(p) for name, p in space.parameters.items()}


def _distribution(parameter: Parameter) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, Choice):
        return CategoricalDistribution(parameter.values)
    if isinstance(parameter, Integer):
        if parameter.log and parameter.step != 1:
            return CategoricalDistribution(tuple(parameter.values))
        return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
    assert isinstance(parameter, Real)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log)


def from_optuna(distributions: Mapping[str, Any]) -> Space:
    """A space with one parameter per distribution.

    Raises:
        SpaceError: a distribution of another kind.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    from archwright.space.space import Space

    parameters: dict[str, Parameter] = {}
    for name, d in distributions.items():
        if isinstance(d, CategoricalDistribution):
            parameters[name] = Choice(*d.choices)
        elif isinstance(d, IntDistribution):
            parameters[name] = Integer(d.low, d.high, d.step, d.log)
        elif isinstance(d, FloatDistribution) and d.step is None:
            parameters[name] = Real(d.low, d.high, d.log)
        elif isinstance(d, FloatDistribution):
            step = float(d.step or 1.0)
            steps = round((d.high - d.low) / step) + 1
            parameters[name] = Choice(*(d.low + i * step for i in range(steps)), ordered=True)
        else:
            raise SpaceError(f"the distribution of {name!r} is of a kind that cannot be converted: {d!r}")
    return Space(parameters)


def to_configspace(space: Space) -> Any:
    """A ``ConfigurationSpace`` with the same parameters and conditions.

    Raises:
        MissingDependencyError: ConfigSpace is not installed.
        SpaceError: the space has constraints, which are code, or is a list of architectures.
    """
    cs = require("ConfigSpace", "configspace")
    from archwright.space.listed import ListedSpace

    if space.constraints:
        raise SpaceError(f"constraints cannot be expressed in ConfigSpace: {space.constraints[0].message}")
    if isinstance(space, ListedSpace):
        raise SpaceError("a list of architectures cannot be expressed in ConfigSpace, which has no lists of members")
    target = cs.ConfigurationSpace()
    made = {name: _hyperparameter(cs, name, p) for name, p in space.parameters.items()}
    target.add(list(made.values()))
    for name, parameter in space.parameters.items():
        conditions = [cs.InCondition(made[name], made[parent], list(values)) for parent, values in parameter.when]
        if len(conditions) == 1:
            target.add(conditions[0])
        elif conditions:
            target.add(cs.AndConjunction(*conditions))
    return target


def _hyperparameter(cs: Any, name: str, parameter: Parameter) -> Any:
    if isinstance(parameter, Choice):
        if parameter.ordered:
            return cs.OrdinalHyperparameter(name, list(parameter.values))
        return cs.CategoricalHyperparameter(name, list(parameter.values))
    if isinstance(parameter, Integer):
        if parameter.low == parameter.high:
            return cs.Constant(name, parameter.low)
        if parameter.step != 1:
            return cs.OrdinalHyperparameter(name, list(parameter.values))
        return cs.UniformIntegerHyperparameter(name, parameter.low, parameter.high, log=parameter.log)
    assert isinstance(parameter, Real)
    if parameter.low == parameter.high:
        return cs.Constant(name, parameter.low)
    return cs.UniformFloatHyperparameter(name, parameter.low, parameter.high, log=parameter.log)


def from_configspace(source: Any) -> Space:
    """A space with the parameters and conditions of a ``ConfigurationSpace``; forbidden clauses become constraints.

    Raises:
        MissingDependencyError: ConfigSpace is not installed.
        SpaceError: a parameter, condition or clause of a kind that has no counterpart.
    """
    cs = require("ConfigSpace", "configspace")
    from archwright.space.space import Space

    when: dict[str, dict[str, list[Any]]] = {}
    for condition in source.conditions:
        parts = condition.components if isinstance(condition, cs.AndConjunction) else [condition]
        for part in parts:
            allowed = _allowed(cs, part)
            before = when.setdefault(part.child.name, {}).get(part.parent.name, allowed)
            when[part.child.name][part.parent.name] = [value for value in before if value in allowed]
    parameters = {h.name: _parameter(cs, h, when.get(h.name)) for h in source.values()}
    constraints = [(_allows(cs, clause), f"forbidden: {clause}") for clause in source.forbidden_clauses]
    return Space(parameters, constraints=constraints)


def _allowed(cs: Any, condition: Any) -> list[Any]:
    """Values of the parent under which one condition holds."""
    if isinstance(condition, cs.EqualsCondition):
        return [plain(condition.value)]
    if isinstance(condition, cs.InCondition):
        return [plain(value) for value in condition.values]
    tests = {
        cs.NotEqualsCondition: operator.ne,
        cs.GreaterThanCondition: operator.gt,
        cs.LessThanCondition: operator.lt,
    }
    test = tests.get(type(condition))
    if test is None:
        raise SpaceError(
            f"the condition {condition} cannot be converted; only equals, in, not equals, greater and less than, and "
            "conjunctions of them can"
        )
    values = _parameter(cs, condition.parent, None).values
    if values is None:
        raise SpaceError(f"the condition {condition} cannot be converted: its parent is real, and has to be finite")
    places = {value: k for k, value in enumerate(values)}
    return [value for value in values if test(places[value], places[plain(condition.value)])]


def _parameter(cs: Any, h: Any, when: Mapping[str, Any] | None) -> Parameter:
    if isinstance(h, cs.CategoricalHyperparameter):
        return Choice(*(plain(v) for v in h.choices), when=when)
    if isinstance(h, cs.OrdinalHyperparameter):
        return Choice(*(plain(v) for v in h.sequence), ordered=True, when=when)
    if isinstance(h, cs.Constant):
        return Choice(plain(h.value), when=when)
    if isinstance(h, (cs.UniformIntegerHyperparameter, cs.NormalIntegerHyperparameter)):
        return Integer(int(h.lower), int(h.upper), log=bool(getattr(h, "log", False)), when=when)
    if isinstance(h, (cs.UniformFloatHyperparameter, cs.NormalFloatHyperparameter)):
        return Real(float(h.lower), float(h.upper), bool(getattr(h, "log", False)), when)
    raise SpaceError(f"the hyperparameter {h.name!r} is of a kind that cannot be converted: {type(h).__name__}")


def _allows(cs: Any, clause: Any) -> Any:
    """A predicate that is false where the clause forbids; a name that is not active cannot be forbidden."""
    if isinstance(clause, cs.ForbiddenAndConjunction):
        parts = [_allows(cs, part) for part in clause.components]
        return lambda a: any(part(a) for part in parts)
    if isinstance(clause, cs.ForbiddenEqualsClause):
        name, value = clause.hyperparameter.name, plain(clause.value)
        return lambda a: name not in a or a[name] != value
    if isinstance(clause, cs.ForbiddenInClause):
        name, values = clause.hyperparameter.name, [plain(v) for v in clause.values]
        return lambda a: name not in a or a[name] not in values
    relations = {
        cs.ForbiddenEqualsRelation: operator.eq,
        cs.ForbiddenLessThanRelation: operator.lt,
        cs.ForbiddenGreaterThanRelation: operator.gt,
    }
    relation = relations.get(type(clause))
    if relation is None:
        raise SpaceError(f"the clause {clause} cannot be converted")
    left, right = clause.left.name, clause.right.name
    return lambda a: left not in a or right not in a or not relation(a[left], a[right])
