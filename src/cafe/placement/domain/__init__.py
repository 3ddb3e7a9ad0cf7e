"""Pure decisions on where pods belong."""
