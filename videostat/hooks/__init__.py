"""Receive webhook deliveries: the address, the HTTP server and the check of signatures.

A delivery proves nothing. It is only a hint to ask the service about a job.
"""
