"""The servers: a module each, with ``serve(announce)`` that runs until the process is ended.

Each makes the same item for each request and sends it as JSON, the way that its users would write
it, with its access log off and one process.
"""
