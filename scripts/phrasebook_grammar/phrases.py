"""Random noun phrases, places and times that make sense."""

import random
from collections.abc import Sequence
from typing import TypeVar

from . import modifiers, nouns
from .modifiers import ADJECTIVES, Adjective, Fixed
from .nominals import Nominal, NounPhrase, Pronoun, name, personal, prepositional
from .nouns import NOUNS, PLACES, Noun, Place
from .words import Pair, fixed, words

T = TypeVar("T")

BY_NAME = {noun.en: noun for group in NOUNS.values() for noun in group}
KIN = {
    "brother", "sister", "mother", "father", "son", "daughter", "uncle", "aunt", "grandmother",
    "grandfather", "friend", "neighbor", "colleague",
}  # fmt: skip
NEVER_OWNED = {"man", "woman", "boy", "girl", "policeman"}  # "meine Frau" is my wife
UNIQUE = {"mother", "father", "grandmother", "grandfather", "king", "queen"}
OUTDOORS = {"garden", "city", "village", "station", "market", "lake", "farm", "park", "beach"}
WATERS = ("lake", "river")
# English and German prepositions of furniture; the last column says what they do not fit.
_SPOTS = (
    ("on", "auf", ("cupboard",)),
    ("under", "unter", ("shelf", "cupboard")),
    ("behind", "hinter", ()),
    ("next to", "neben", ()),
    ("in front of", "vor", ()),
)
_OBJECT_OF = {
    "I": ("you", "he", "she", "they"), "you": ("I", "he", "she", "we", "they"),
    "we": ("you", "he", "she", "they"),
}  # fmt: skip


class Dice:
    """The one source of chance and of link numbers.

    Everything is drawn from `Random.random`, whose sequence is the same in all Python versions.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._link = 0

    def chance(self, probability: float) -> bool:
        """Come out true with the given probability."""
        return self._random.random() < probability

    def choice(self, items: Sequence[T]) -> T:
        """Draw one item."""
        return items[int(self._random.random() * len(items))]

    def weighted(self, weights: dict[T, float]) -> T:
        """Draw one key with a probability proportional to its weight."""
        rest = self._random.random() * sum(weights.values())
        for item, weight in weights.items():
            rest -= weight
            if rest < 0:
                return item
        return next(reversed(weights))

    def shuffle(self, items: list[T]) -> None:
        """Put a list in random order (Fisher and Yates)."""
        for last in range(len(items) - 1, 0, -1):
            other = int(self._random.random() * (last + 1))
            items[last], items[other] = items[other], items[last]

    def link(self) -> int:
        """Give a link number with nine free numbers after it."""
        self._link += 10
        return self._link


def nouns_of(kinds: Sequence[str]) -> tuple[Noun, ...]:
    """List the nouns of the given kinds; a kind may also be the name of one noun."""
    return tuple(noun for kind in kinds for noun in NOUNS.get(kind) or (BY_NAME[kind],))


def is_countable(noun: Noun) -> bool:
    """Tell whether a noun can be counted and asked for with "which"."""
    return not noun.mass and noun.en not in UNIQUE


def suits(adjective: Adjective, noun: Noun) -> bool:
    """Tell whether an adjective makes sense with a noun."""
    return noun.kind in adjective.kinds


def _adjectives(dice: Dice, noun: Noun, probability: float) -> tuple[Adjective, ...]:
    fitting = [adjective for adjective in ADJECTIVES if suits(adjective, noun)]
    if not fitting or not dice.chance(probability):
        return ()
    first = dice.choice(fitting)
    colors = [a for a in fitting if a.en in modifiers.COLORS and a is not first]
    if colors and first.en in modifiers.BEFORE_COLORS and dice.chance(0.2):
        return (first, dice.choice(colors))
    return (first,)


def _determiner(dice: Dice, noun: Noun, plural: bool, subject: bool) -> str:
    possessive = dice.choice(("my", "your", "his", "her", "our", "their"))
    if noun.en in KIN and noun.kind == "person":
        if noun.en in UNIQUE or not dice.chance(0.15):
            return possessive
        return dice.choice(tuple(modifiers.NUMBERS)) if plural else "a"
    if noun.en in UNIQUE:
        return "the"
    if noun.mass:
        return dice.weighted({"zero": 6, "the": 2.5, possessive: 1.5})
    if plural:
        number = dice.choice(tuple(modifiers.NUMBERS))
        if noun.en in NEVER_OWNED:
            return dice.weighted({"the": 3.5, number: 2, "many": 1, "some": 1, "this": 0.7})
        return dice.weighted(
            {"the": 3.5, "zero": 1.5, number: 2, "many": 1, "some": 1, "this": 0.7, possessive: 1}
        )
    if noun.en in NEVER_OWNED:
        return dice.weighted({"the": 6, "a": 3, "this": 1.2, "every": 0.3})
    if subject:
        return dice.weighted({"the": 6, "a": 1.2, "this": 1.2, possessive: 1, "every": 0.3})
    return dice.weighted({"the": 3.5, "a": 3.2, "this": 0.8, possessive: 1.8, "possessor": 0.8})


def noun_phrase(
    dice: Dice,
    kinds: Sequence[str],
    *,
    subject: bool = False,
    avoid: Nominal | None = None,
    rich: float = 0.45,
    plural: bool | None = None,
) -> NounPhrase:
    """Draw a noun phrase of the given kinds, with adjectives with probability `rich`."""
    candidates = nouns_of(kinds)
    if isinstance(avoid, NounPhrase):
        candidates = tuple(n for n in candidates if n is not avoid.noun) or candidates
    noun = dice.choice(candidates)
    if noun.mass or noun.en in UNIQUE:
        plural = False
    elif plural is None:
        plural = dice.chance(0.22)
    determiner = _determiner(dice, noun, plural, subject)
    possessor: Nominal | None = None
    if determiner == "possessor":
        possessor = person(dice, pronouns=False, rich=0.0, subject=True)
        if isinstance(possessor, NounPhrase) and (possessor.plural or not possessor.definite):
            possessor = proper_name(dice)
    return NounPhrase(
        noun,
        dice.link(),
        determiner,
        plural,
        _adjectives(dice, noun, rich),
        possessor,
    )


def proper_name(dice: Dice) -> Pronoun:
    """Draw the name of a person."""
    return name(dice.choice(nouns.FEMALE_NAMES + nouns.MALE_NAMES), dice.link())


def person(
    dice: Dice,
    *,
    pronouns: bool = True,
    avoid: Nominal | None = None,
    rich: float = 0.4,
    subject: bool = False,
) -> Nominal:
    """Draw a person: a pronoun, a name or a noun phrase, other than `avoid`."""
    kind = dice.weighted({"pronoun": 3.0 if pronouns else 0.0, "name": 2.2, "noun": 4.8})
    if kind == "pronoun":
        keys: Sequence[str] = ("I", "you", "he", "she", "we", "they")
        if isinstance(avoid, Pronoun) and avoid.pronoun:
            keys = _OBJECT_OF.get(avoid.en[0], keys)
        return personal(dice.choice(keys), dice.link())
    if kind == "name":
        drawn = proper_name(dice)
        if not isinstance(avoid, Pronoun) or drawn.en != avoid.en:
            return drawn
    return noun_phrase(dice, ("person",), subject=subject, avoid=avoid, rich=rich)


def definite_person(dice: Dice, avoid: Nominal | None = None) -> Nominal:
    """Draw a person that is known: no indefinite noun phrase."""
    for _ in range(20):
        drawn = person(dice, avoid=avoid)
        if drawn.definite:
            return drawn
    return personal("they", dice.link())


def _place_phrase(dice: Dice, place: Place) -> NounPhrase:
    possessive = dice.choice(("my", "your", "his", "her", "our", "their"))
    determiner = dice.weighted({"the": 8, "this": 0.8, possessive: 0.8, "a": 0.4})
    adjectives = _adjectives(dice, place.noun, 0.2)
    return NounPhrase(place.noun, dice.link(), determiner, adjectives=adjectives)


def location(dice: Dice, *, outdoors: bool = False, cities: float = 0.15) -> Pair:
    """Draw where something happens: "at the station", "in Vienna"."""
    if dice.chance(cities):
        return city(dice, "in", "in")
    fitting = tuple(p for p in PLACES if p.noun.en in OUTDOORS or not outdoors)
    place = dice.choice(fitting)
    phrase = _place_phrase(dice, place)
    return prepositional(place.en_at, place.de_at, "dat", phrase, dice.link())


def direction(dice: Dice, *, on_foot: bool) -> Pair:
    """Draw where someone goes: "to the station", "to Vienna", or on foot "into the room"."""
    kind = dice.weighted({"place": 7, "city": 1.5, "home": 1})
    if kind == "city":
        return city(dice, "to", "nach")
    if kind == "home":
        return fixed(*modifiers.HOMEWARD, dice.link())
    place = dice.choice(tuple(p for p in PLACES if on_foot or p.en_to == "to"))
    case = "dat" if place.de_to == "zu" else "acc"
    return prepositional(place.en_to, place.de_to, case, _place_phrase(dice, place), dice.link())


def city(dice: Dice, en: str, de: str) -> Pair:
    """Draw a city with the given prepositions."""
    en_name = dice.choice(tuple(nouns.CITIES))
    nominal = name(en_name, dice.link(), nouns.CITIES[en_name])
    return prepositional(en, de, "dat", nominal, dice.link())


def water(dice: Dice) -> Pair:
    """Draw where one swims."""
    phrase = NounPhrase(BY_NAME[dice.choice(WATERS)], dice.link())
    return prepositional("in", "in", "dat", phrase, dice.link())


def spot(dice: Dice, case: str) -> Pair:
    """Draw a spot at a piece of furniture: dative where it is, accusative where it is put."""
    phrase = noun_phrase(dice, ("furniture",), plural=False, rich=0.25, subject=True)
    fitting = [row for row in _SPOTS if phrase.noun.en not in row[2]]
    en, de, _ = dice.choice(fitting[:2] + fitting)
    return prepositional(en, de, case, phrase, dice.link())


def adverbial(dice: Dice, phrase: Fixed) -> Pair:
    """Build a fixed adverbial."""
    return fixed(phrase.en, phrase.de, dice.link())


def time(dice: Dice, groups: Sequence[Sequence[Fixed]]) -> Pair:
    """Draw a time expression: first its group, then its member."""
    return adverbial(dice, dice.choice(dice.choice(groups)))


def past_time(dice: Dice) -> Pair:
    """Draw a time that is over: "last week", "two years ago"."""
    if not dice.chance(0.12):
        return time(dice, modifiers.PAST_TIMES)
    number, unit = dice.choice(modifiers.AGO)
    link = dice.link()
    n, u = fixed(*number, link), fixed(*unit, link + 1)
    return Pair((*n.en, *u.en, *words("ago", link + 2)), (*words("vor", link + 2), *n.de, *u.de))


def both(en: str, de: str, dice: Dice) -> Pair:
    """Pair two words or phrases that correspond as wholes."""
    link = dice.link()
    return Pair(words(en, link), words(de, link))
