"""`Parameter`: a tensor that a `Module` registers when it is assigned as an attribute."""

from norch._C import Parameter

__all__ = ["Parameter"]
