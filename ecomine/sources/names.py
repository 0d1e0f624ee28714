"""What shops call things: other names, separated by blanks, written without case, blanks and marks."""

NAMES: dict[str, str] = {
    "order_id": (
        "order orderno ordernr ordernumber orderref invoice invoiceid invoiceno invoicenumber "
        "basketid basket transactionid transaction receiptid receipt receiptno salesid saleid"
    ),
    "user_id": (
        "user customerid customer customerno customernumber custid cust clientid client householdid "
        "household visitorid buyerid buyer memberid shopperid uid"
    ),
    "item_id": (
        "item productid product productcode productno stockcode sku skuid itemno itemcode article "
        "articleid articleno articlenumber variantid upc ean asin"
    ),
    "location_id": "location storeid store shopid shop warehouseid warehouse branchid branch siteid",
    "session_id": "session visitid usersession sessionkey",
    "event_timestamp": (
        "timestamp eventtime datetime orderdate ordertime orderedat orderpurchasetimestamp "
        "invoicedate transactiondate transactiontimestamp transactiontime purchasedate purchasedat "
        "createdat created occurredat time date when day ts"
    ),
    "event_type": "event eventname action actiontype type behavior behaviour",
    "query": "searchterm searchquery keywords",
    "rating": "stars score",
    "referrer": "referer source trafficsource",
    "quantity": "qty units unitssold pieces quantityordered amountofitems nitems",
    "unit_price": ("price priceperunit priceeach itemprice saleprice salesprice sellingprice netprice"),
    "line_total": "salesvalue linetotal totalprice total sales revenue amount linevalue value",
    "list_price": "regularprice originalprice fullprice rrp msrp baseprice",
    "discount": "discountamount rebate discountvalue",
    "coupon_id": "coupon couponcode vouchercode voucher promocode",
    "category": ("categoryname productcategory productcategoryname categorypath department categorycode producttype"),
    "brand": "brandname brandid manufacturer manufacturerid maker vendor",
    "title": "productname itemname producttitle name description productdescription itemdescription",
    "unit_cost": "cost costprice purchaseprice costperunit",
    "launch_date": "launched launchedat releasedate introduced availablefrom",
    "signup_date": (
        "signup signedup signedupat registered registeredat registrationdate joined joindate "
        "membersince createdat created"
    ),
    "age_group": "age ageband agerange",
    "income_group": "income incomeband incomerange",
    "users.household": "householdsize family",
    "region": "country state city postcode zip zipcode countrycode",
    "marketing_consent": "consent newsletter optin marketingoptin acceptsmarketing emailconsent",
    "start_date": "start startsat from validfrom startday",
    "end_date": "end endsat to until validto validuntil endday",
    "promotions.price": "promoprice saleprice specialprice",
    "on_hand": "stock stocklevel inventory onstock available quantity qty",
    "on_order": "ordered incoming inbound",
    "lead_time_days": "leadtime leaddays",
    "payment_id": "payment paymentno",
    "amount": "paymentvalue paymentamount value total loanamount creditamount",
    "method": "paymentmethod paymenttype",
    "card_id": "card cardtoken cardnumber",
    "device_id": "device deviceid",
    "ip": "ipaddress",
    "is_fraud": "fraud fraudulent isfraudulent class",
    "account_id": "account loanid creditid",
    "defaulted": "default isdefault",
    "campaign_id": "campaign",
    "kind": "campaigntype type relation",
    "impression_id": "impression adid exposureid",
    "creative_id": "creative banner bannerid ad",
    "clicked": "click isclick clicks",
    "converted": "conversion isconversion",
    "treated": "treatment exposed shown",
    "competitor": "rival competitorname competitorid",
    "other_user_id": "friendid friend otherid targetid",
}
"""Other names of canonical columns, likely ones first; `table.column` holds for that table alone."""

FILES: dict[str, str] = {
    "events": "event click session behavi interaction view",
    "order_lines": "order transaction invoice sale retail basket purchase receipt line",
    "items": "item product article sku catalog",
    "users": "user customer client household member demographic",
    "promotions": "promo offer special",
    "stock": "stock inventory warehouse",
    "payments": "payment charge",
    "credit": "credit loan",
    "campaigns": "campaign",
    "ad_impressions": "impression ads exposure contact",
    "competitor_prices": "competitor rival",
    "social_edges": "friend social edge tie",
}
"""Words in the name of a file that speak for a table."""

EVENT_TYPES: dict[str, str] = {
    "view": "pageview viewitem productview detail click pv",
    "cart": "addtocart addcart carted basket addtobasket",
    "purchase": "transaction buy order bought purchased",
    "wishlist": "favorite favourite fav addtowishlist",
    "impression": "show shown exposure",
    "review": "rate rating",
}
"""Other names of the kinds of events."""

TIME_FORMATS = (
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%d-%m-%Y %H:%M",
    "%m/%d/%y %H:%M",
    "%Y%m%d",
    "%Y%m%d%H%M%S",
    "%d %b %Y",
    "%b %d, %Y",
)
"""Ways to write a time that are tried in this order, day before month."""
