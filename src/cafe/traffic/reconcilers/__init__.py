"""The loops that keep traffic and pods agreed."""
