"""The cells that `kubectl get` shows, kind by kind."""
