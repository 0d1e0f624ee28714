"""The next item of anonymous sessions of a shop, Diginetica (CIKM Cup 2016): P@20 and MRR@20.

Protocol: `benchmarks.next_item`. 186,670 training sessions; 60,858 prefixes of the last days, of one item and more. To
exceed: the published graph network GCE-GNN (Wang et al. 2020), .5422 / .1904.
"""

from benchmarks.next_item import Case, main

CASE = Case("diginetica", 1, 15_000, 0.5422, 0.1904)

if __name__ == "__main__":
    main("recommend_diginetica", CASE)
