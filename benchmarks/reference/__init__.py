"""Published and promised numbers as rows of data, measured by one command.

A row (`rows/*.toml`) says what is trained or timed, which value counts, and which published value
it stands beside. `python -m benchmarks.reference` measures rows, keeps one file of results for each
row and kind of machine, and makes the tables of docs/results.md from them.
"""
