"""Pure decisions about traffic."""
