"""Settings for all tests."""

from hypothesis import HealthCheck, settings

# No deadline: how long an example takes is the machine's affair, not a law.
settings.register_profile("cafe", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cafe")
