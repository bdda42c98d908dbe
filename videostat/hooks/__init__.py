"""Receive webhook deliveries: where they come in, which are let in, and which jobs they may be about.

A delivery is a hint and proves nothing: whoever is told of one asks the service before believing it.
"""
