"""The rules of the built-in kinds: defaults, validation, what may change."""
