"""Deterministic simulation: the real controllers under seeded faults, every failure replayable.

A seed is drawn into a `plan`; `run` carries it out on a `loop` of our own, in a `world` whose `network`,
processes and nodes fail as the plan's `faults` say; the `oracle` judges every commit against the truth.
"""
