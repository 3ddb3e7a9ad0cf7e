"""The promise: how many pods of an application run in which cell, and that the answer moves the fewest.

Glossary: a *unit* is a cell or a zone; a *pin* fixes a unit's size; the *quota* is what a unit gets.
"""
