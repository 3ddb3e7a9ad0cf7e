"""The kinds of pod set that serve a unit, each driven by the same release."""
