"""Optimizer wrappers and constructors."""

from .autocast_optim_wrapper import AutocastOptimWrapper
from .decay_groups_constructor import DecayGroupsConstructor

__all__ = ['AutocastOptimWrapper', 'DecayGroupsConstructor']
