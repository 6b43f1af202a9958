"""What a component's class says about itself, and whether a subclass still may."""

from __future__ import annotations

__all__ = ["declares", "up_to_date"]


def declares(component: object, name: str) -> bool:
    """Return whether a component's own class declares a capability, and it holds.

    A fast form repeats what the methods of a class do, and a subclass may override any of them. So
    what a class inherits does not count: a subclass that still does the same declares it anew.

    Args:
        component: An instance.
        name: A class attribute or property that is true where the capability is there.
    """
    return name in vars(type(component)) and bool(getattr(component, name))


def up_to_date(component: object, name: str, other: str) -> bool:
    """Return whether a method is there and was overridden wherever another one was.

    What a method says about `other` holds for the class that defines it, and for subclasses that
    leave `other` alone.
    """
    for owner in type(component).__mro__:
        if name in vars(owner):
            return True
        if other in vars(owner):
            return False
    return False
