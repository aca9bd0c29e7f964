"""Figures: one module per question, each runnable as `python -m benchmarks.NAME [--quick] [--json]`.

Medians of several runs, peers in the same run. Nothing here is a test: a figure is stated, not asserted.
"""
