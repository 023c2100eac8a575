"""How work moves, on paper: the rules of pace, share and limits against made-up providers and mailings.

`python -m benchmarks.simulation` takes some seconds and no database. The rules and their constants are the product's
own, so that whoever changes one sees what it does.
"""
