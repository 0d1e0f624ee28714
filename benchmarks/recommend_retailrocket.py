"""The next item of anonymous sessions of a shop, RetailRocket: P@20 and MRR@20.

Protocol: `benchmarks.next_item`. 126,168 training sessions; 15,132 prefixes of the last days, of two items and more. To
exceed: .570 / .310.
"""

from benchmarks.next_item import Case, main

CASE = Case("retailrocket", 2, 3_000, 0.570, 0.310)

if __name__ == "__main__":
    main("recommend_retailrocket", CASE)
