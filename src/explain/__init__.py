"""The chain rule taught: the backward pass of an expression as steps to follow."""

from .walkthrough import Walkthrough, explain

__all__ = ["Walkthrough", "explain"]
