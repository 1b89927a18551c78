"""Sentences for small tests."""

STEMS = ["Hund", "Katze", "Straße", "Haus", "grün", "lauf", "schlaf", "klein"]
ENDINGS = ["", "e", "en", "er", "es", "chen", "lich", "ung"]
WORDS = [stem + ending for ending in ENDINGS for stem in STEMS]


def sentences(n: int) -> list[str]:
    """Return different sentences of 1 to 12 words."""
    return [" ".join(WORDS[(i + k * k) % len(WORDS)] for k in range(i % 12 + 1)) for i in range(n)]
