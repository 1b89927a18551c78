"""Noun phrases and pronouns, rendered in both languages for a case."""

from dataclasses import dataclass
from typing import Protocol

from . import english, german
from .modifiers import NUMBERS, Adjective
from .nouns import Noun
from .words import COMMA, Pair, Phrase, Word, words

POSSESSIVES = {
    "my": "mein", "your": "dein", "his": "sein", "her": "ihr", "our": "unser", "their": "ihr",
}  # fmt: skip
# English subject and object; German nominative, accusative and dative.
_PRONOUNS = {
    "I": ("I", "me", "ich", "mich", "mir", 1, False),
    "you": ("you", "you", "du", "dich", "dir", 2, False),
    "he": ("he", "him", "er", "ihn", "ihm", 3, False),
    "she": ("she", "her", "sie", "sie", "ihr", 3, False),
    "we": ("we", "us", "wir", "uns", "uns", 1, True),
    "they": ("they", "them", "sie", "sie", "ihnen", 3, True),
    "who": ("who", "whom", "wer", "wen", "wem", 3, False),
    "what": ("what", "what", "was", "was", "was", 3, False),
}
_IT = {"m": ("er", "ihn", "ihm"), "f": ("sie", "sie", "ihr"), "n": ("es", "es", "ihm")}


class Nominal(Protocol):
    """Anything that can be a subject or an object."""

    @property
    def person(self) -> int:
        """Give the grammatical person, 1 to 3."""

    @property
    def plural(self) -> bool:
        """Tell whether the verb agrees in the plural."""

    @property
    def pronoun(self) -> bool:
        """Tell whether it stands among the pronouns at the left of the German middle field."""

    @property
    def definite(self) -> bool:
        """Tell whether it stands before the negation in the German middle field."""

    def english(self, case: str) -> Phrase:
        """Render in English."""

    def german(self, case: str) -> Phrase:
        """Render in German, without a relative clause."""

    def german_tail(self) -> Phrase:
        """Render the German relative clause, which may stand after the verb."""


@dataclass(frozen=True)
class Pronoun:
    """A pronoun or a proper name: a word with a form for each case."""

    en: tuple[str, str]
    de: tuple[str, str, str]
    link: int
    person: int = 3
    plural: bool = False
    pronoun: bool = True
    definite: bool = True

    def english(self, case: str) -> Phrase:
        """Render in English; "gen" adds 's."""
        if case == "gen":
            return words(self.en[0] + "'s", self.link)
        return words(self.en[0 if case == "nom" else 1], self.link)

    def german(self, case: str) -> Phrase:
        """Render in German; "gen" adds s."""
        if case == "gen":
            return words(self.de[0] + "s", self.link)
        return words(self.de[german.CASES.index(case)], self.link)

    def german_tail(self) -> Phrase:
        """Give nothing: neither a pronoun nor a name has a relative clause here."""
        return ()


def personal(key: str, link: int) -> Pronoun:
    """Build a personal or interrogative pronoun from its English nominative."""
    en_nom, en_acc, nom, acc, dat, person, plural = _PRONOUNS[key]
    return Pronoun((en_nom, en_acc), (nom, acc, dat), link, person, plural)


def it(gender: str, link: int) -> Pronoun:
    """Build "it", whose German form follows the gender of the noun that it stands for."""
    return Pronoun(("it", "it"), _IT[gender], link)


def name(en: str, link: int, de: str | None = None) -> Pronoun:
    """Build a proper name."""
    return Pronoun((en, en), (de or en,) * 3, link, pronoun=False)


def silent(like: Nominal, link: int) -> Pronoun:
    """Build a subject that is understood but not said."""
    return Pronoun(("", ""), ("", "", ""), link, like.person, like.plural)


def relative(noun: Noun, plural: bool, link: int) -> Pronoun:
    """Build the relative pronoun that refers to a noun."""
    en = "who" if noun.kind == "person" else "that"
    column = "p" if plural else noun.gender
    nom, acc, dat = (german.relative_pronoun(case, column) for case in ("nom", "acc", "dat"))
    return Pronoun((en, en), (nom, acc, dat), link, plural=plural)


@dataclass(frozen=True)
class NounPhrase:
    """A determiner, adjectives and a noun, with an optional possessor and relative clause.

    `determiner` is the English word, "zero" for none, "which" or "how many" in questions, or
    "possessor". The links are `link` (determiner), `link` + 1 (noun) and from `link` + 2
    (adjectives).
    """

    noun: Noun
    link: int
    determiner: str = "the"
    plural: bool = False
    adjectives: tuple[Adjective, ...] = ()
    possessor: Nominal | None = None
    relative: Pair | None = None
    negation: int | None = None  # link of the English "not" that German says with kein
    person: int = 3
    pronoun: bool = False

    @property
    def definite(self) -> bool:
        """Tell whether the phrase is definite."""
        return self.determiner in ("the", "this", "every", "possessor", *POSSESSIVES)

    def english(self, case: str) -> Phrase:
        """Render in English; "gen" adds 's to the noun."""
        noun = self.noun.en_plural if self.plural else self.noun.en
        body = [w for i, a in enumerate(self.adjectives) for w in words(a.en, self.link + 2 + i)]
        body += words(noun + ("'s" if case == "gen" else ""), self.link + 1)
        return (
            *self._english_determiner(body[0].text),
            *body,
            *(self.relative.en if self.relative else ()),
        )

    def _english_determiner(self, following: str) -> Phrase:
        if self.determiner == "possessor" and self.possessor:
            return self.possessor.english("gen")
        text = {"zero": "", "a": english.article(following)}.get(self.determiner, self.determiner)
        if text == "this" and self.plural:
            text = "these"
        return words(text, self.link)

    def german(self, case: str) -> Phrase:
        """Render in German, without the relative clause."""
        column = "p" if self.plural else self.noun.gender
        noun = german.noun(
            self.noun.de,
            self.noun.de_plural,
            self.noun.gender,
            case,
            is_plural=self.plural,
            weak=self.noun.weak,
        )
        determiner, declension = self._german_determiner(case, column)
        adjectives = (
            word
            for i, a in enumerate(self.adjectives)
            for word in words(german.adjective(a.de, declension, case, column), self.link + 2 + i)
        )
        possessor = self.possessor if self._german_possessor_follows() else None
        return (
            *determiner,
            *adjectives,
            *words(noun, self.link + 1),
            *(possessor.german("gen") if possessor else ()),
        )

    def _german_possessor_follows(self) -> bool:
        return isinstance(self.possessor, NounPhrase)

    def _german_determiner(self, case: str, column: str) -> tuple[Phrase, str]:
        """Give the determiner and the declension of the adjectives after it."""
        key = self.determiner
        if self.negation is not None:
            return words(german.ein_word("kein", case, column), self.link, self.negation), "mixed"
        if key == "possessor" and self.possessor:
            if not self._german_possessor_follows():
                return self.possessor.german("gen"), "strong"
            owner = self.possessor.english("gen")[-1].links
            return (Word(german.definite_article(case, column), owner),), "weak"
        if key in NUMBERS:
            return words(NUMBERS[key], self.link), "strong"
        if key in POSSESSIVES:
            return words(german.ein_word(POSSESSIVES[key], case, column), self.link), "mixed"
        text, declension = {
            "the": (german.definite_article(case, column), "weak"),
            "a": (german.ein_word("ein", case, column), "mixed"),
            "this": (german.der_word("dies", case, column), "weak"),
            "every": (german.der_word("jed", case, column), "weak"),
            "which": (german.der_word("welch", case, column), "weak"),
            "many": (german.der_word("viel", case, column), "strong"),
            "some": (german.der_word("einig", case, column), "strong"),
            "how many": ("wie " + german.der_word("viel", case, column), "strong"),
            "zero": ("", "strong"),
        }[key]
        return words(text, self.link), declension

    def german_tail(self) -> Phrase:
        """Render the German relative clause with the comma before it."""
        return (COMMA, *self.relative.de) if self.relative else ()


def prepositional(en: str, de: str, case: str, nominal: Nominal, link: int) -> Pair:
    """Build a prepositional phrase, contracting the German preposition and article."""
    phrase = nominal.german(case)
    is_article = isinstance(nominal, NounPhrase) and nominal.determiner in ("the", "possessor")
    joined = german.contract(de, phrase[0].text) if is_article else None
    if joined:
        head: Phrase = (Word(joined, frozenset({link}) | phrase[0].links),)
        phrase = phrase[1:]
    else:
        head = words(de, link)
    return Pair((*words(en, link), *nominal.english("acc")), (*head, *phrase))
