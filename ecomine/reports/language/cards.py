"""Texts of the model cards and data sheets."""

EN = {
    "cards.title": "{domain}: model card and data sheet",
    "cards.question.profiling": "Who is this customer, and what are they worth?",
    "cards.question.recommendation": "Which products will this customer want next?",
    "cards.question.pricing": "Which price brings most?",
    "cards.question.inventory": "What is to be ordered, when and how much?",
    "cards.question.risk": "Which payment or order is to be stopped or looked at?",
    "cards.question.ads": "Whom is a contact worth its cost?",
    "cards.purpose.profiling": "Tells of every customer how they buy, what kind they are, how probably they come "
    "back or are lost and what they will spend, so that marketing knows whom a contact pays for.",
    "cards.purpose.recommendation": "Gives every customer a list of the products that they will most probably buy "
    "within the next two weeks, each with its reason.",
    "cards.purpose.pricing": "Suggests a price for each product from how its demand answered to prices so far, "
    "within the rules of the shop.",
    "cards.purpose.inventory": "Forecasts the demand of each product and place, and tells when and how much to "
    "order so that the cost of holding, ordering and missing sales is least.",
    "cards.purpose.risk": "Scores payments or orders and allows them, has them looked at, or blocks them, where "
    "that costs least.",
    "cards.purpose.ads": "Chooses whom each campaign contacts, so that what contacts bring exceeds what they cost.",
    "cards.limits.profiling": "It knows people by what they have bought (and seen, where there are events): of "
    "somebody with one order it knows little, and its intervals say so. The effect of a contact is an assumption of "
    "the settings, not measured.",
    "cards.limits.recommendation": "The money of a list counts what was bought anyway among what was listed: an "
    "upper bound of what the list brings. Products nobody has bought have no history and come by kind alone.",
    "cards.limits.pricing": "A product whose price never changed has no elasticity of its own and borrows that of "
    "its kind. Prices far outside what was ever tried are not suggested.",
    "cards.limits.inventory": "Where stock is not recorded, sales stand for demand and lost sales are unseen; then "
    "levels are told, not what to order today.",
    "cards.limits.risk": "Without labels it looks for anomalies alone and is judged on injected ones. Fraud of a "
    "new kind is known only after its first complaints.",
    "cards.limits.ads": "Where contacts were not drawn by chance, it tells who responds, not whom a contact moves, "
    "and says so.",
    "cards.groups.profiling": "Segments are found in how people buy, never in who they are; demographics are not "
    "among the features. The page of customers shows every segment.",
    "cards.groups.recommendation": "Quality is told for new, rare and frequent customers and for head and tail "
    "products on the page of recommendations; demographics are not among the features.",
    "cards.groups.pricing": "Personal prices are off unless the settings switch them on; then they are discounts "
    "only, and never by protected attributes.",
    "cards.groups.inventory": "It decides on products and places, not on people.",
    "cards.groups.risk": "The gate compares how often honest people of each known group are stopped; see its "
    "checks below.",
    "cards.groups.ads": "Nobody is contacted without consent where the shop records it; fatigue limits hold for "
    "everybody alike.",
    "cards.limits": "Its figures hold for a test period after all that it learned from; what changes since then is "
    "for monitoring to find (`ecomine monitor`).",
    "cards.lacking": "This source has no {tables}; it does without.",
    "cards.limits_title": "Limits and groups",
    "cards.version": "Version",
    "cards.version_text": "A version is named by the digest of its files and never changes.",
    "cards.what": "what",
    "cards.digest": "digest",
    "cards.as_of": "has seen the shop up to",
    "cards.deployed": "deployed",
    "cards.commit": "commit",
    "cards.no_git": "no git",
    "cards.code": "digests of the code",
    "cards.libraries": "libraries",
    "cards.size": "size",
    "cards.quality": "Quality",
    "cards.quality_text": "On the test period of this version, beside plain baselines on the same rows.",
    "cards.metric": "metric",
    "cards.data": "Data sheet",
    "cards.data_text": "The clean tables that the version was made of, by digest; rows and days are those of the "
    "tables that lie there now.",
    "cards.used": "used",
    "cards.first": "first day",
    "cards.last": "last day",
    "cards.sha": "SHA-256",
    "cards.made_of": "Features and settings",
    "cards.made_of_text": "What the model is told of each row, and the settings that it was trained with.",
    "cards.features": "Features",
    "cards.settings": "Settings",
    "cards.feature": "feature",
    "cards.meaning": "in words",
    "cards.setting": "setting",
    "cards.back": "The way back",
    "cards.back_status": "What is deployed now: `ecomine status {domain}`.",
    "cards.back_now": "Back to the version before, in one step: `ecomine rollback {domain}`. {n} earlier versions "
    "can be reached.",
    "cards.back_none": "This is the first version, so there is none to go back to yet; from the second on: "
    "`ecomine rollback {domain}`.",
    "cards.back_proof": "Before every deployment it is proven that the version before still loads and answers.",
    "cards.history": "History",
    "cards.who": "who",
}

ZH = {
    "cards.title": "{domain}：模型卡与数据说明",
    "cards.question.profiling": "这位客户是谁，价值多少？",
    "cards.question.recommendation": "这位客户接下来想要哪些商品？",
    "cards.question.pricing": "什么价格收益最高？",
    "cards.question.inventory": "订什么、何时订、订多少？",
    "cards.question.risk": "哪笔付款或订单应当拦截或复核？",
    "cards.question.ads": "联系谁才值得其成本？",
    "cards.purpose.profiling": "说明每位客户如何购买、属于哪类、回购或流失的概率以及未来消费额，"
    "使营销知道联系谁才划算。",
    "cards.purpose.recommendation": "为每位客户列出未来两周最可能购买的商品，并附理由。",
    "cards.purpose.pricing": "根据需求对以往价格的反应，在商店规则内为每种商品建议价格。",
    "cards.purpose.inventory": "预测每种商品在每个地点的需求，给出订货时间和数量，使持有、订货与缺货的总成本最低。",
    "cards.purpose.risk": "为付款或订单评分，并在成本最低处放行、复核或拦截。",
    "cards.purpose.ads": "为每个营销活动选择联系对象，使联系带来的收益超过其成本。",
    "cards.limits.profiling": "它通过购买记录（以及事件，若有）了解客户：只有一笔订单的客户所知甚少，"
    "区间会体现这一点。联系的效果是设置中的假设，并非测量所得。",
    "cards.limits.recommendation": "清单的金额包括本来就会购买的商品，因此是清单收益的上限。"
    "无人购买过的商品没有历史，只能按类别出现。",
    "cards.limits.pricing": "从未变价的商品没有自己的弹性，借用同类的弹性。不会建议远超以往尝试范围的价格。",
    "cards.limits.inventory": "未记录库存时，以销量代替需求，看不到缺货损失；此时只给出库存水平，不给出今天的订货量。",
    "cards.limits.risk": "没有标签时只查找异常，并以注入的异常来评判。新型欺诈只有在首次投诉之后才为人所知。",
    "cards.limits.ads": "若联系对象并非随机抽取，它只能说明谁会响应，而不能说明联系会改变谁，并会如实说明。",
    "cards.groups.profiling": "细分群体来自购买方式，而非客户身份；人口统计信息不在特征之中。客户页面展示每个群体。",
    "cards.groups.recommendation": "推荐页面分别给出新客户、低频与高频客户以及头部与长尾商品的质量；"
    "人口统计信息不在特征之中。",
    "cards.groups.pricing": "除非在设置中启用，否则没有个人价格；启用后也只有折扣，且绝不依据受保护的属性。",
    "cards.groups.inventory": "它的决策对象是商品和地点，而不是人。",
    "cards.groups.risk": "门禁比较各已知群体中诚实客户被拦截的频率；见下方检查。",
    "cards.groups.ads": "若商店记录了同意，则未同意者不会被联系；疲劳限制对所有人一视同仁。",
    "cards.limits": "这些数字适用于模型学习之后的测试期；此后的变化由监控发现（`ecomine monitor`）。",
    "cards.lacking": "此数据源没有 {tables}，因此未使用。",
    "cards.limits_title": "局限与群体",
    "cards.version": "版本",
    "cards.version_text": "版本以其文件的摘要命名，永不改变。",
    "cards.what": "项目",
    "cards.digest": "摘要",
    "cards.as_of": "所见数据截至",
    "cards.deployed": "部署",
    "cards.commit": "提交",
    "cards.no_git": "无 git",
    "cards.code": "代码摘要",
    "cards.libraries": "程序库",
    "cards.size": "大小",
    "cards.quality": "质量",
    "cards.quality_text": "在此版本的测试期内，与相同数据行上的简单基线比较。",
    "cards.metric": "指标",
    "cards.data": "数据说明",
    "cards.data_text": "此版本所用的干净表及其摘要；行数与日期取自目前的表。",
    "cards.used": "使用",
    "cards.first": "第一天",
    "cards.last": "最后一天",
    "cards.sha": "SHA-256",
    "cards.made_of": "特征与设置",
    "cards.made_of_text": "模型对每一行所知的内容，以及训练所用的设置。",
    "cards.features": "特征",
    "cards.settings": "设置",
    "cards.feature": "特征",
    "cards.meaning": "含义",
    "cards.setting": "设置",
    "cards.back": "如何回退",
    "cards.back_status": "查看当前部署：`ecomine status {domain}`。",
    "cards.back_now": "一步回到上一版本：`ecomine rollback {domain}`。可回退到 {n} 个更早的版本。",
    "cards.back_none": "这是第一个版本，尚无可回退的版本；从第二个版本起：`ecomine rollback {domain}`。",
    "cards.back_proof": "每次部署之前，都会证明上一版本仍能加载并应答。",
    "cards.history": "历史",
    "cards.who": "操作者",
}
