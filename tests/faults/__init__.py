"""What goes wrong, done for real: processes killed, servers stopped, clocks turned, disks filled.

Every test is a `@fault` with a promise, ends in `assert_invariant`, and leaves its figures behind:
docs/reliability.md shows them all.
"""
