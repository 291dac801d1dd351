"""How fast it is, and beside what: `make bench` measures, prints ratios and writes
docs/performance.md; `make bench-quick` only prints, within some three minutes.

Each figure is a module of its own, named in `__main__.FIGURES`; what they share is in harness.py
(numbers), stage.py (servers and processes), project.py (what runs inside those) and sink.py.
"""
