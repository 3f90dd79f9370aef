"""Contracts as test classes, for those who replace a part of Likeness.

A contract that is only prose is broken by the second implementation. Each class here holds the
tests of one contract and a few hooks; a subclass in a test file fills in the hooks, and pytest does
the rest. Likeness runs the same classes against its own parts.

In:  an implementation, and samples with known answers.
Out: failing tests, each named after the promise that is broken.

- `likeness.testing.readers.ImageReaderTests`: `likeness.readers.ImageReader`.
- `likeness.testing.engines.EngineTests`: `likeness.search.engines.Engine`.

Nothing here is imported by ``import likeness``; pytest is needed only where these classes run.
"""
