"""Texts that the pages of prices, stock, risk and ads share."""

EN = {
    "shop.lacking": "What could not be told",
    "shop.lacking_text": "Tables that this shop does not have; with them the page would tell more.",
    "shop.without": "No table {table}.",
}

ZH = {
    "shop.lacking": "缺少数据而无法给出的内容",
    "shop.lacking_text": "本店没有以下数据表；有了它们，本页可以给出更多内容。",
    "shop.without": "没有数据表 {table}。",
}
