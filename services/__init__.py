"""Servers for people: each a package that `mesh up` starts as a process of its own, on loopback."""
