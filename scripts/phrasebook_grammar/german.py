"""German inflection: verbs, nouns, adjectives, articles and pronouns.

Cases are "nom", "acc", "dat" and "gen"; genders are "m", "f" and "n". Where a table has one column
per gender its last column, "p", is the plural.
"""

import re
from typing import NamedTuple

CASES = ("nom", "acc", "dat", "gen")
COLUMNS = "mfnp"

_DEFINITE = "der die das die|den die das die|dem der dem den|des der des der"
_DIESER = "er e es e|en e es e|em er em en|es er es er"
_EIN = "- e - e|en e - e|em er em en|es er es er"
_RELATIVE = "der die das die|den die das die|dem der dem denen|dessen deren dessen deren"
_ADJECTIVE = {
    "weak": "e e e en|en e e en|en en en en|en en en en",
    "mixed": "er e es en|en e es en|en en en en|en en en en",
    "strong": "er e es e|en e es e|em er em en|en er en er",
}
_INSEPARABLE = re.compile(r"(be|ver|er|ent|emp|zer|ge(?=fall|hör|win))[^aeiou]*[aeiouäöü]")
CONTRACTIONS = {
    ("in", "dem"): "im", ("an", "dem"): "am", ("zu", "dem"): "zum", ("zu", "der"): "zur",
    ("von", "dem"): "vom", ("bei", "dem"): "beim", ("in", "das"): "ins", ("an", "das"): "ans",
}  # fmt: skip
REFLEXIVE = ("mich", "dich", "sich", "uns", "euch", "sich")


class GermanVerb(NamedTuple):
    """The principal parts of a verb; `present` and `preterite` only where a verb is irregular."""

    infinitive: str  # without a separable prefix
    third: str  # er/sie/es form of the present
    participle: str  # with a separable prefix
    auxiliary: str  # of the perfect: "haben" or "sein"
    prefix: str = ""
    reflexive: bool = False
    present: tuple[str, ...] = ()
    preterite: tuple[str, ...] = ()


def _cell(table: str, case: str, column: str) -> str:
    ending = table.split("|")[CASES.index(case)].split()[COLUMNS.index(column)]
    return "" if ending == "-" else ending


def definite_article(case: str, column: str) -> str:
    """Give the form of der/die/das."""
    return _cell(_DEFINITE, case, column)


def relative_pronoun(case: str, column: str) -> str:
    """Give the form of the relative pronoun."""
    return _cell(_RELATIVE, case, column)


def der_word(stem: str, case: str, column: str) -> str:
    """Inflect a determiner like dies-, jed- or viel-."""
    return stem + _cell(_DIESER, case, column)


def ein_word(stem: str, case: str, column: str) -> str:
    """Inflect ein, kein or a possessive."""
    return stem + _cell(_EIN, case, column)


def adjective(stem: str, declension: str, case: str, column: str) -> str:
    """Inflect an attributive adjective in the weak, mixed or strong declension."""
    if stem.endswith("e"):
        stem = stem[:-1]
    elif stem.endswith(("el", "euer")):
        stem = stem[:-2] + stem[-1]
    return stem + _cell(_ADJECTIVE[declension], case, column)


def noun(lemma: str, plural: str, gender: str, case: str, *, is_plural: bool, weak: bool) -> str:
    """Inflect a noun for case and number."""
    if is_plural:
        return plural + "n" if case == "dat" and plural[-1] not in "ns" else plural
    if weak and case != "nom":
        return plural
    if case == "gen" and gender != "f":
        syllables = len(re.findall(r"[aeiouyäöü]+", lemma.lower()))
        hissing = lemma.endswith(("s", "ß", "z", "x"))
        after_vowel = lemma[-1] in "aeiouäöü" or lemma.endswith("eh")
        return lemma + ("es" if hissing or (syllables == 1 and not after_vowel) else "s")
    return lemma


def contract(preposition: str, article: str) -> str | None:
    """Give the contraction of a preposition with a definite article, if there is one."""
    return CONTRACTIONS.get((preposition, article))


def _stem(infinitive: str) -> str:
    return infinitive[:-1] if infinitive.endswith(("eln", "ern")) else infinitive[:-2]


def _needs_e(stem: str) -> bool:
    return stem.endswith(("d", "t")) or bool(re.search(r"(ch|[^aeiouäöülrhnm])[nm]$", stem))


def slot(person: int, plural: bool) -> int:
    """Index person and number into a table of six forms."""
    return person - 1 + (3 if plural else 0)


def present(verb: GermanVerb, person: int, plural: bool) -> str:
    """Conjugate a verb in the present tense (without its separable prefix)."""
    if verb.present:
        return verb.present[slot(person, plural)]
    stem = _stem(verb.infinitive)
    if plural:
        return verb.infinitive if person != 2 else stem + ("et" if _needs_e(stem) else "t")
    if person == 1:
        return stem[:-2] + "le" if verb.infinitive.endswith("eln") else stem + "e"
    if person == 3:
        return verb.third
    stem = verb.third[:-1]
    return stem + ("t" if stem.endswith(("s", "ß", "z", "x")) else "st")


def imperative(verb: GermanVerb) -> str:
    """Form the imperative of the informal singular (without the separable prefix)."""
    stem = _stem(verb.infinitive)
    changed = verb.third[:-1]
    if changed.rstrip("e") != stem and "ä" not in changed:
        return changed
    if verb.infinitive.endswith("eln"):
        return stem[:-2] + "le"
    long = _needs_e(stem) or stem.endswith("s") or verb.infinitive.endswith("ern")
    return stem + "e" if long else stem


def zu_infinitive(verb: GermanVerb) -> str:
    """Form the infinitive with zu: "zu kaufen", "aufzustehen"."""
    return f"{verb.prefix}zu{verb.infinitive}" if verb.prefix else f"zu {verb.infinitive}"


def _regular_participle(infinitive: str) -> str:
    stem = _stem(infinitive)
    ending = "et" if _needs_e(stem) else "t"
    bare = infinitive.endswith("ieren") or bool(_INSEPARABLE.match(infinitive))
    return ("" if bare else "ge") + stem + ending


def parse_verb(text: str) -> GermanVerb:
    """Read "[sich] [prefix+]infinitive [third participle]"; "-" is regular, "*" marks sein."""
    forms = text.split()
    reflexive = forms[0] == "sich"
    forms = forms[reflexive:]
    prefix, _, infinitive = forms[0].rpartition("+")
    third, participle = (forms[1], forms[2]) if len(forms) > 1 else ("-", "-")
    auxiliary = "sein" if participle.endswith("*") else "haben"
    participle = participle.rstrip("*")
    stem = _stem(infinitive)
    if third == "-":
        third = stem + ("et" if _needs_e(stem) else "t")
    if participle == "-":
        participle = _regular_participle(infinitive)
    return GermanVerb(infinitive, third, prefix + participle, auxiliary, prefix, reflexive)


def irregular(infinitive: str, participle: str, aux: str, present: str, past: str) -> GermanVerb:
    """Build a verb from full tables; `past` is the stem of the preterite ("war", "hatte")."""
    forms = tuple(present.split())
    if past.endswith("e"):
        preterite = (past, past + "st", past, past + "n", past + "t", past + "n")
    else:
        preterite = (past, past + "st", past, past + "en", past + "t", past + "en")
    return GermanVerb(infinitive, forms[2], participle, aux, present=forms, preterite=preterite)


SEIN = irregular("sein", "gewesen", "sein", "bin bist ist sind seid sind", "war")
HABEN = irregular("haben", "gehabt", "haben", "habe hast hat haben habt haben", "hatte")
WERDEN = irregular("werden", "geworden", "sein", "werde wirst wird werden werdet werden", "wurde")
