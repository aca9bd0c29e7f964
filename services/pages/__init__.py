"""The mesh's own pages: products with their last verdicts, and the rows that fail. They show no values.

A page is a function in a module of its own, which `app.create_app` mounts; what every page owes its readers (headers,
errors without values, a role that can only SELECT) is in `guard` and `site`.
"""
