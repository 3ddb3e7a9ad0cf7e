"""The simulated scheduler: it places pods by the real one's rules, and says why not in its words."""
