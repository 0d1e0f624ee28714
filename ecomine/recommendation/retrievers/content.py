"""What is like what somebody chose, by what is said of it: the way in for items that nobody has chosen yet."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from ecomine.errors import FeatureError
from ecomine.recommendation.interactions import Interactions
from ecomine.recommendation.retrievers.similarity import ItemToItem, nearest
from ecomine.tables import CATEGORY_SEPARATOR

COLUMNS = ("category", "brand", "title")


@dataclass(kw_only=True)
class Content(ItemToItem):
    """Items alike in the words of their title, their category path and their brand, by TF-IDF and cosine.

    Every level of a category path (levels parted by `separator`) is a term of its own, so near categories are a little
    alike. Each item keeps its `neighbours` most alike. Needs attributes: `fit(interactions, items)`.
    """

    neighbours: int = 100
    separator: str = CATEGORY_SEPARATOR

    def _similarity(self, interactions: Interactions) -> sparse.csr_matrix:
        unit = self._terms(interactions.attributes)
        return nearest(unit, unit.T.tocsr(), lambda row, column, common: common, self.neighbours)

    def _terms(self, attributes: pd.DataFrame | None) -> sparse.csr_matrix:
        from sklearn.feature_extraction.text import TfidfVectorizer

        told = () if attributes is None else tuple(name for name in COLUMNS if name in attributes.columns)
        if attributes is None or not told:
            raise FeatureError(
                f"Content needs items with any of {', '.join(COLUMNS)}; "
                f"there {'are none' if attributes is None else 'is ' + ', '.join(attributes.columns)}. "
                "Pass them: fit(interactions, items)."
            )
        parts = []
        for name in told:
            texts = attributes[name].fillna("").astype(str).to_numpy(object)
            if not any(text.strip() for text in texts):
                continue
            split = self._levels if name == "category" else (_whole if name == "brand" else None)
            vectorizer = (
                TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
                if split is None
                else TfidfVectorizer(analyzer=split)
            )
            parts.append(vectorizer.fit_transform(texts))
        if not parts:
            return sparse.csr_matrix((len(attributes), 1))
        # Each column speaks with the same voice; an item without any of them is like nothing.
        joined = sparse.hstack(parts, format="csr")
        length = np.sqrt(np.asarray(joined.multiply(joined).sum(axis=1)).ravel())
        return (sparse.diags_array(1.0 / np.maximum(length, 1e-12)) @ joined).tocsr()

    def _levels(self, path: str) -> list[str]:
        levels = [level.strip() for level in path.split(self.separator) if level.strip()]
        return [self.separator.join(levels[: depth + 1]) for depth in range(len(levels))]


def _whole(text: str) -> list[str]:
    return [text] if text else []
