"""English inflection: verbs, plurals, articles."""

from typing import NamedTuple

VOWELS = "aeiou"
BE_PRESENT = ("am", "are", "is", "are")
BE_PAST = ("was", "were", "was", "were")
# Words that start with a vowel letter but a consonant sound (none of ours starts with a silent h).
A_EXCEPTIONS = ("uni", "use", "eu", "one")


class EnglishVerb(NamedTuple):
    """The forms of a verb that cannot be derived, and the particle or preposition that it takes."""

    base: str
    past: str
    participle: str
    particle: str = ""
    splits: bool = False  # a pronoun object stands before the particle: "turn it on"


def article(following: str) -> str:
    """Choose between "a" and "an" by the word that follows."""
    if following[0].lower() in VOWELS and not following.lower().startswith(A_EXCEPTIONS):
        return "an"
    return "a"


def plural(noun: str) -> str:
    """Form the regular plural of a noun."""
    if noun.endswith(("s", "sh", "ch", "x", "z")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in VOWELS:
        return noun[:-1] + "ies"
    return noun + "s"


def third_person(base: str) -> str:
    """Form the third person singular of the simple present."""
    if base == "have":
        return "has"
    if base.endswith("o"):
        return base + "es"
    return plural(base)


def _doubles(base: str) -> bool:
    short = sum(letter in VOWELS for letter in base) == 1
    return short and len(base) > 2 and base[-1] in "bdgmnprt" and base[-2] in VOWELS


def past_tense(base: str) -> str:
    """Form the regular past tense."""
    if base.endswith("e"):
        return base + "d"
    if base.endswith("y") and base[-2] not in VOWELS:
        return base[:-1] + "ied"
    return base + base[-1] + "ed" if _doubles(base) else base + "ed"


def gerund(base: str) -> str:
    """Form the -ing form."""
    if base == "lie":
        return "lying"
    if base.endswith("e") and not base.endswith("ee"):
        return base[:-1] + "ing"
    return base + base[-1] + "ing" if _doubles(base) else base + "ing"


def finite(base: str, past: str, person: int, plural_subject: bool, is_past: bool) -> str:
    """Inflect a verb for its subject in the simple present or past."""
    if base == "be":
        return (BE_PAST if is_past else BE_PRESENT)[3 if plural_subject else person - 1]
    if is_past:
        return past
    return third_person(base) if person == 3 and not plural_subject else base


def parse_verb(text: str) -> EnglishVerb:
    """Read "base [past participle]" with an optional "+particle" (splits) or "_preposition"."""
    forms = text.split()
    base, splits, particle = forms[0], False, ""
    if "+" in base:
        base, particle = base.split("+")
        splits = True
    elif "_" in base:
        base, particle = base.split("_", 1)
        particle = particle.replace("_", " ")
    past, participle = (forms[1], forms[2]) if len(forms) > 1 else (past_tense(base),) * 2
    return EnglishVerb(base, past, participle, particle, splits)
