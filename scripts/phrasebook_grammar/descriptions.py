"""Random clauses that say what someone or something is like."""

from dataclasses import replace

from . import phrases
from .clauses import Clause, Tense
from .modifiers import ADJECTIVES, COMPARABLE, Adjective
from .nominals import Nominal, NounPhrase, Pronoun
from .nouns import NOUNS
from .phrases import Dice
from .predicates import Plan, draw_clause, draw_subject, with_relative
from .verbs import BE
from .words import Pair, words


def _kind(subject: Nominal) -> str:
    return subject.noun.kind if isinstance(subject, NounPhrase) else "person"


def _predicate(dice: Dice, subject: Nominal, adjective: Adjective) -> tuple[Pair, Pair | None]:
    """Draw a predicate and, if it compares, the standard of comparison."""
    link = dice.link()
    kind = dice.weighted({"plain": 4, "very": 2.5, "more": 2, "as": 1.2})
    if kind in ("more", "as") and adjective in COMPARABLE:
        if _kind(subject) == "person":
            other: Nominal = phrases.person(dice, avoid=subject, rich=0.2, pronouns=False)
        else:
            other = phrases.noun_phrase(dice, (_kind(subject),), avoid=subject, rich=0.2)
        en, de = other.english("nom"), other.german("nom")
        if kind == "more":
            compared = Pair(
                words(adjective.en_comparative, link), words(adjective.de_comparative, link)
            )
            return compared, Pair((*words("than", link + 1), *en), (*words("als", link + 1), *de))
        compared = Pair(
            (*words("as", link + 2), *words(adjective.en, link)),
            (*words("so", link + 2), *words(adjective.de, link)),
        )
        return compared, Pair((*words("as", link + 1), *en), (*words("wie", link + 1), *de))
    return fitting_state(dice, adjective, 1.0 if kind == "very" else 0.0), None


def draw_description(
    dice: Dice, plan: Plan, *, subject: Nominal | None = None, kind: str = "person"
) -> Clause:
    """Draw a clause that says what someone or something is like."""
    if subject is None:
        if dice.chance(0.45):
            subject = draw_subject(dice, ("person",), plan)
        else:
            described = [k for k in NOUNS if k not in ("person", "door")]
            drawn = phrases.noun_phrase(dice, (dice.choice(described),), subject=True, rich=0.1)
            if drawn.determiner == "zero":
                drawn = replace(drawn, determiner="the")
            subject = with_relative(dice, drawn, plan, owner=None)
        kind = _kind(subject)
    fitting = [
        a
        for a in ADJECTIVES
        if kind in a.kinds and not (isinstance(subject, NounPhrase) and a in subject.adjectives)
    ]
    tense = dice.choice(plan.tenses or (Tense.PRESENT, Tense.PAST))
    adjective = dice.choice(fitting)
    if isinstance(subject, Pronoun) and kind != "person":
        predicate, standard = fitting_state(dice, adjective, 0.6), None
    else:
        predicate, standard = _predicate(dice, subject, adjective)
    clause = Clause(subject, BE, dice.link(), tense, complement=predicate, standard=standard)
    every = isinstance(subject, NounPhrase) and subject.determiner == "every"
    if dice.chance(plan.negation) and subject.definite and not every:
        clause = replace(clause, negated=True)
    return clause


def fitting_state(dice: Dice, adjective: Adjective, degree: float) -> Pair:
    """Build an adjective that describes a thing, perhaps with "very" or "too"."""
    link = dice.link()
    en, de = "", ""
    if adjective in COMPARABLE and dice.chance(degree):
        en, de = dice.choice((("very", "sehr"), ("very", "sehr"), ("too", "zu")))
    return Pair(
        (*words(en, link + 1), *words(adjective.en, link)),
        (*words(de, link + 1), *words(adjective.de, link)),
    )


def any_clause(dice: Dice, plan: Plan, *, subject: Nominal | None = None) -> Clause:
    """Draw a clause of action or, less often, of description."""
    if dice.chance(0.15):
        return draw_description(dice, plan, subject=subject)
    return draw_clause(dice, plan, subject=subject)
