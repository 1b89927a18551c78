"""Questions, direct and indirect."""

from dataclasses import replace

from . import phrases
from .clauses import Clause, Tense, english_question, german_question, statement, subordinate
from .descriptions import any_clause
from .nominals import Nominal, personal
from .phrases import Dice, both
from .predicates import BARE, Plan, draw_clause
from .verbs import VERBS
from .words import Pair, join


def _where_clause(dice: Dice, tense: Tense) -> Clause:
    fitting = [
        v
        for v in VERBS
        if v.en.base in ("live", "work", "wait", "sleep", "sit") and v.frame in ("none", "place")
    ]
    return Clause(phrases.person(dice, subject=True), dice.choice(fitting), dice.link(), tense)


def indirect_question(dice: Dice, plan: Plan) -> Pair:
    """Draw "whether Anna bought the coat" or the like, without a comma before it."""
    kind = dice.weighted({"whether": 3, "why": 1.5, "where": 1, "when": 1})
    if kind == "where":
        inner = _where_clause(dice, dice.choice(plan.tenses or (Tense.PRESENT,)))
        return join(both("where", "wo", dice), subordinate(inner))
    if kind == "when":
        inner = draw_clause(dice, plan._replace(extras=0, modals=False, tenses=(Tense.PAST,)))
        return join(both("when", "wann", dice), subordinate(inner))
    question = {"whether": "ob", "why": "warum"}[kind]
    return join(both(kind, question, dice), subordinate(any_clause(dice, plan)))


def yes_no_question(dice: Dice) -> Pair:
    """Draw "Did Anna buy the coat?"."""
    clause = any_clause(dice, Plan(fronting=0.0, relatives=0.04))
    return Pair(english_question(clause), german_question(clause))


def wh_question(dice: Dice) -> Pair:
    """Draw a question that begins with who, whom, what, which, how many, when, where or why."""
    kind = dice.weighted({"who": 2, "object": 4, "why": 2, "when": 2, "where": 1.5})
    plan = BARE._replace(tenses=(Tense.PAST, Tense.PRESENT), modals=True, extras=0.5)
    if kind == "who":
        return statement(draw_clause(dice, plan, subject=personal("who", dice.link())))
    if kind == "object":
        clause, asked = _object_question(dice, plan)
    elif kind == "where":
        clause = _where_clause(dice, dice.choice((Tense.PAST, Tense.PRESENT)))
        asked = both("where", "wo", dice)
    elif kind == "when":
        clause = draw_clause(dice, plan._replace(extras=0.0, tenses=(Tense.PAST, Tense.FUTURE)))
        asked = both("when", "wann", dice)
    else:
        clause = any_clause(dice, plan._replace(negation=0.2, tenses=()))
        asked = both("why", "warum", dice)
    clause = replace(clause, opener=asked)
    return Pair(english_question(clause), german_question(clause))


def _object_question(dice: Dice, plan: Plan) -> tuple[Clause, Pair]:
    fitting = [v for v in VERBS if v.frame == "acc" and v.en.base != "have"]
    verb = dice.choice(fitting)
    clause = draw_clause(dice, plan._replace(negation=0.0), verb=verb, gap=True)
    kind = dice.weighted({"pronoun": 2, "which": 2, "how many": 1.5})
    asked: Nominal
    if kind == "pronoun" or verb.objects == ("drink",):
        of_person = verb.objects[0] == "person" or ("person" in verb.objects and dice.chance(0.5))
        asked = personal("who" if of_person else "what", dice.link())
    else:
        countable = [n.en for n in phrases.nouns_of(verb.objects) if phrases.is_countable(n)]
        plural = kind == "how many"
        drawn = phrases.noun_phrase(dice, countable, plural=plural, rich=0.2)
        asked = replace(drawn, determiner=kind, possessor=None)
    return clause, Pair(asked.english("acc"), asked.german("acc"))
