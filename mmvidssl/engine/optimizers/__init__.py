"""Optimizer wrappers and constructors."""

from .decay_groups_constructor import DecayGroupsConstructor

__all__ = ['DecayGroupsConstructor']
