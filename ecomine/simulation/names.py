"""Words for categories, brands and titles, so that text models and people have something to read."""

DEPARTMENTS: dict[str, dict[str, tuple[str, str, str]]] = {
    "Pantry": {
        "Breakfast": ("muesli", "honey", "oatmeal"),
        "Pasta and rice": ("spaghetti", "basmati rice", "couscous"),
        "Sauces": ("tomato sauce", "pesto", "soy sauce"),
        "Snacks": ("crackers", "salted nuts", "potato crisps"),
    },
    "Fresh": {
        "Dairy": ("yoghurt", "butter", "cheddar"),
        "Fruit": ("apples", "bananas", "berries"),
        "Vegetables": ("carrots", "salad leaves", "tomatoes"),
        "Bakery": ("rye bread", "croissants", "bagels"),
    },
    "Drinks": {
        "Coffee and tea": ("espresso beans", "green tea", "filter coffee"),
        "Juice": ("orange juice", "apple juice", "smoothie"),
        "Water": ("sparkling water", "still water", "tonic water"),
        "Soft drinks": ("lemonade", "ginger ale", "cola"),
    },
    "Frozen": {
        "Ready meals": ("pizza", "lasagne", "dumplings"),
        "Ice cream": ("vanilla ice cream", "sorbet", "ice lollies"),
        "Frozen vegetables": ("peas", "spinach", "chips"),
        "Fish": ("fish fingers", "salmon", "prawns"),
    },
    "Household": {
        "Laundry": ("washing powder", "fabric softener", "stain remover"),
        "Cleaning": ("glass cleaner", "sponges", "scouring cream"),
        "Paper": ("kitchen roll", "toilet paper", "napkins"),
        "Storage": ("freezer bags", "foil", "food boxes"),
    },
    "Beauty": {
        "Hair": ("shampoo", "conditioner", "hair wax"),
        "Skin": ("hand cream", "sun lotion", "face wash"),
        "Teeth": ("toothpaste", "mouthwash", "dental floss"),
        "Bath": ("shower gel", "soap", "bath salts"),
    },
    "Pets": {
        "Dogs": ("dog biscuits", "dog food", "dog leads"),
        "Cats": ("cat food", "cat litter", "cat treats"),
        "Birds": ("bird seed", "suet balls", "millet"),
        "Small animals": ("hay", "rabbit food", "bedding"),
    },
    "Home": {
        "Kitchen": ("frying pans", "knives", "mixing bowls"),
        "Electronics": ("headphones", "batteries", "chargers"),
        "Garden": ("plant pots", "lawn seed", "gloves"),
        "Stationery": ("notebooks", "pens", "envelopes"),
    },
}
"""Department → group → kinds of product."""

TYPICAL_PRICE = (3.5, 3.0, 3.2, 5.0, 5.5, 6.0, 9.0, 18.0)
"""Median price of a department's products, in its order above."""

REPLENISHMENT_DAYS = (30.0, 10.0, 16.0, 22.0, 45.0, 50.0, 25.0, 140.0)
"""Typical days until the same thing is looked into again, by department."""

STYLES = ("", "organic ", "family ", "mini ", "premium ", "light ", "classic ", "seasonal ", "local ", "vegan ")
"""Put before a kind of product where a large shop needs more kinds than there are words."""

SYLLABLES = ("al", "bo", "ca", "do", "el", "fa", "gi", "ho", "is", "ju", "ka", "lo", "mi", "no", "or", "pa", "ri", "so")

ADJECTIVES = (
    "fine",
    "simple",
    "golden",
    "green",
    "daily",
    "pure",
    "little",
    "grand",
    "fresh",
    "honest",
    "bright",
    "old",
)

SIZES = ("small", "medium", "large", "value pack", "twin pack")


def kinds(count: int) -> list[tuple[int, str, str]]:
    """The first `count` kinds of product as (department, its path, name), spread evenly over departments.

    >>> kinds(2)
    [(0, 'Pantry > Breakfast', 'muesli'), (1, 'Fresh > Dairy', 'yoghurt')]
    """
    tree = [(name, list(groups.items())) for name, groups in DEPARTMENTS.items()]
    found = [
        (number, f"{department} > {groups[group][0]}", style + groups[group][1][word])
        for style in STYLES
        for word in range(3)
        for group in range(4)
        for number, (department, groups) in enumerate(tree)
    ]
    return found[:count]


MOST_KINDS = len(STYLES) * 3 * 4 * len(DEPARTMENTS)


def brand(number: int) -> str:
    """A name of two to four syllables for each number, no two alike.

    >>> brand(0), brand(400)
    ('Alal', 'Elelbo')
    """
    base = len(SYLLABLES)
    first, rest = number % base, number // base
    second, more = rest % base, rest // base
    word = SYLLABLES[second] + SYLLABLES[first]
    while more:
        word, more = word + SYLLABLES[more % base], more // base
    return word.capitalize()
