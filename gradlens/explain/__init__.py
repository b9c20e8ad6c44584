"""The pages behind `gradlens explain`: of checks, causes and signs, of lessons, and of the methods behind the figures.

Nothing is written twice: a page is made from the docstring, the limits and the weights that the program itself uses.
"""

from gradlens.explain.figures import FIGURES, METHODS, method_of
from gradlens.explain.pages import catalogue, page

__all__ = ["FIGURES", "METHODS", "catalogue", "method_of", "page"]
