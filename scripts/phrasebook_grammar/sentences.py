"""The kinds of sentence in the phrasebook."""

from collections.abc import Callable
from dataclasses import replace

from . import modifiers, phrases, predicates, verbs
from .clauses import (
    Clause,
    Tense,
    english_bare,
    english_question,
    english_statement,
    german_imperative,
    german_infinitive,
    german_question,
    german_statement,
    statement,
    subordinate,
)
from .descriptions import any_clause, draw_description
from .modifiers import Fixed
from .nominals import Nominal, NounPhrase, Pronoun, it, personal, prepositional, silent
from .phrases import Dice, both
from .predicates import BARE, Plan, draw_clause
from .questions import indirect_question, wh_question, yes_no_question
from .verbs import Verb
from .words import COMMA, Pair, Phrase, SentencePair, join, sentence_pair, words

PAST, PRESENT, FUTURE = (Tense.PAST,), (Tense.PRESENT,), (Tense.FUTURE,)
MAIN = Plan(relatives=0.14)
INNER = Plan(extras=0.5, fronting=0.0, modals=True, negation=0.1)
_TEMPORAL = {"when", "while", "before", "as soon as", "until"}
# English, German, tenses of the subordinate clause, tenses of the main clause.
_CONJUNCTIONS = (
    ("because", "weil", PAST, PAST),
    ("because", "weil", PRESENT, PRESENT),
    ("although", "obwohl", PAST, PAST),
    ("although", "obwohl", PRESENT, PRESENT),
    ("if", "wenn", PRESENT, FUTURE),
    ("when", "als", PAST, PAST),
    ("while", "während", PAST, PAST),
    ("before", "bevor", PAST, PAST),
    ("as soon as", "sobald", PRESENT, FUTURE),
    ("until", "bis", PAST, PAST),
)
EN_COMMA, DE_COMMA = Pair((COMMA,), ()), Pair((), (COMMA,))
COMMAS = Pair((COMMA,), (COMMA,))
# What there is, and where.
_SETTINGS = (
    (("furniture",), ("house", "room", "kitchen", "office", "hotel", "library", "cellar")),
    (("animal",), ("garden", "park", "forest", "village", "house", "castle")),
    (("restaurant", "hotel", "museum", "church"), ("city", "village", "park")),
)


def _after(front: Pair, main: Clause) -> Pair:
    """Put a subordinate clause first: in German the finite verb follows it at once."""
    return Pair(
        (*front.en, COMMA, *english_statement(main)),
        (*front.de, *german_statement(main, front=(COMMA,))),
    )


def _back_reference(dice: Dice, subject: Nominal) -> Nominal | None:
    """Draw he or she for a subject that was named before, if that is clear."""
    female = {"mother", "sister", "aunt", "daughter", "woman", "grandmother", "queen", "nurse"}
    if subject.plural or not isinstance(subject, NounPhrase):
        return None
    if subject.noun.kind != "person" or subject.noun.en in ("child", "girl"):
        return None
    return personal("she" if subject.noun.en in female else "he", dice.link())


def simple(dice: Dice) -> Pair:
    """Draw a main clause, sometimes after a sentence adverb."""
    clause = draw_clause(dice, MAIN)
    if clause.opener is None and clause.tense is not Tense.PERFECT and dice.chance(0.1):
        openers: list[tuple[Fixed, bool]] = list(modifiers.OPENERS)
        if clause.tense is Tense.PAST and not (clause.negated or clause.adverb):
            openers += modifiers.PAST_OPENERS
        phrase, comma = dice.choice(openers)
        opener = both(*phrase, dice)
        clause = replace(clause, opener=join(opener, EN_COMMA) if comma else opener)
    return statement(clause)


def description(dice: Dice) -> Pair:
    """Draw a sentence that describes or compares."""
    return statement(draw_description(dice, MAIN))


def complement(dice: Dice) -> Pair:
    """Draw "Anna believes that ..." or "we asked whether ..."."""
    subject = phrases.person(dice, subject=True, rich=0.2)
    tense = dice.choice((Tense.PRESENT, Tense.PAST))
    asking = dice.chance(0.35)
    verb: Verb = dice.choice((*verbs.ASKING_VERBS, verbs.KNOW) if asking else verbs.THAT_VERBS)
    negated = verb is verbs.KNOW and (asking or dice.chance(0.2))
    matrix = Clause(subject, verb, dice.link(), tense, negated=negated)
    inner_plan = INNER._replace(tenses=PAST if tense is Tense.PAST else (), relatives=0.04)
    if asking:
        tail = indirect_question(dice, inner_plan._replace(negation=0.0))
    else:
        inner = any_clause(dice, inner_plan)
        tail = join(both("that", "dass", dice), subordinate(inner))
    return join(statement(matrix), DE_COMMA, tail)


def adverbial(dice: Dice) -> Pair:
    """Draw a main clause with a subordinate clause before or after it."""
    return _adverbial(dice, MAIN._replace(relatives=0.05, extras=0.6), INNER)


def _adverbial(
    dice: Dice, main_plan: Plan, inner_plan: Plan, tenses: tuple[Tense, ...] = ()
) -> Pair:
    fitting = [row for row in _CONJUNCTIONS if not tenses or row[3] == tenses]
    en, de, inner_tenses, main_tenses = dice.choice(fitting)
    first = dice.chance(0.4) and en != "until"
    fronting = 0.0 if first else main_plan.fronting
    draw = any_clause
    if en in _TEMPORAL:
        draw = draw_clause
        inner_plan = inner_plan._replace(extras=0.0, negation=0.0, modals=False)
    main = draw(dice, main_plan._replace(tenses=main_tenses, fronting=fronting))
    subject = _back_reference(dice, main.subject) if dice.chance(0.5) and not first else None
    inner = draw(dice, inner_plan._replace(tenses=inner_tenses), subject=subject)
    if dice.chance(0.06):
        weather = Clause(it("n", dice.link()), dice.choice((verbs.RAIN, verbs.SNOW)), dice.link())
        inner = replace(weather, tense=inner.tense)
    side = join(both(en, de, dice), subordinate(inner))
    return _after(side, main) if first else join(statement(main), DE_COMMA, side)


def reason(dice: Dice) -> Pair:
    """Draw "Anna bought the coat because it was cheap": the gender of "it" is the coat's."""
    things = [v for v in verbs.VERBS if v.frame == "acc" and {"thing", "clothes"} & {*v.objects}]
    kinds = ("thing", "clothes", "device", "vehicle", "text")
    while True:
        verb = dice.choice(things)
        plan = BARE._replace(tenses=PAST, extras=0.0, negation=0.3)
        main = draw_clause(dice, plan, verb=verb)
        target = main.accusative
        if not isinstance(target, NounPhrase) or target.possessor:
            continue
        colored = any(adjective.en in modifiers.COLORS for adjective in target.adjectives)
        if target.noun.kind in kinds and not colored:
            break
    en, de = dice.choice((("because", "weil"), ("although", "obwohl")))
    subject: Pronoun = it(target.noun.gender, dice.link())
    if target.plural:
        subject = personal("they", dice.link())
    plan = BARE._replace(tenses=PAST)
    inner = draw_description(dice, plan, subject=subject, kind=target.noun.kind)
    return join(statement(main), DE_COMMA, both(en, de, dice), subordinate(inner))


def coordination(dice: Dice) -> Pair:
    """Draw two clauses joined by "and" or "but"."""
    tenses = dice.choice((PAST, PRESENT))
    plan = INNER._replace(tenses=tenses, fronting=0.15)
    first, second = any_clause(dice, plan), any_clause(dice, plan._replace(fronting=0.0))
    if dice.chance(0.6):
        return join(statement(first), EN_COMMA, both("and", "und", dice), statement(second))
    return join(statement(first), COMMAS, both("but", "aber", dice), statement(second))


def shared_subject(dice: Dice) -> Pair:
    """Draw one subject with two predicates; German says a repeated auxiliary only once."""
    tenses = dice.choice((PAST, PRESENT))
    plan = BARE._replace(tenses=tenses, extras=0.5, fronting=0.2)
    subject = phrases.person(dice, subject=True)
    first = draw_clause(dice, plan, subject=subject)
    second = draw_clause(dice, plan._replace(fronting=0.0), subject=subject)
    second = replace(second, subject=silent(subject, dice.link()))
    german_first, german_second = german_statement(first), german_statement(second)
    auxiliaries = {"habe", "hast", "hat", "haben", "bin", "bist", "ist", "sind"}
    repeated = german_second[0].text
    if repeated in auxiliaries and repeated in {word.text for word in german_first}:
        german_second = german_second[1:]
    pair = Pair(english_statement(second), german_second)
    return join(Pair(english_statement(first), german_first), both("and", "und", dice), pair)


def _infinitive(dice: Dice, subject: Nominal) -> Clause:
    willing = [v for v in verbs.VERBS if predicates.is_willing(v) and v.frame != "place"]
    plan = BARE._replace(tenses=PRESENT, extras=0.0)
    clause = draw_clause(dice, plan, subject=subject, verb=dice.choice(willing))
    return replace(clause, subject=silent(subject, dice.link()), adverb=None)


def infinitive(dice: Dice) -> Pair:
    """Draw "she tried to open the door" or "... in order to buy bread" or "without ..."."""
    subject = phrases.person(dice, subject=True)
    inner = _infinitive(dice, subject)
    to = words("to", inner.link + 1)
    tense = dice.choice((Tense.PAST, Tense.PAST, Tense.PRESENT))
    kind = dice.weighted({"verb": 4, "order": 4})
    if kind == "verb":
        matrix = Clause(subject, dice.choice(verbs.TO_VERBS), dice.link(), tense)
        opening = DE_COMMA
    else:
        going = [v for v in verbs.VERBS if v.frame in ("direction", "city")]
        plan = BARE._replace(tenses=(tense,), fronting=0.5)
        matrix = draw_clause(dice, plan, subject=subject, verb=dice.choice(going))
        opening = join(DE_COMMA, both("in order", "um", dice))
    tail = Pair((*to, *english_bare(inner)), german_infinitive(inner))
    return join(statement(matrix), opening, tail)


def imperative(dice: Dice) -> Pair:
    """Draw a request or a prohibition."""
    you = personal("you", dice.link())
    clause = _infinitive(dice, you)
    if dice.chance(0.3):
        clause = predicates.negate(replace(clause, subject=silent(you, dice.link())))
    if clause.negated:
        opening: Phrase = (*words("do", clause.link), *words("not", clause.link + 2))
    else:
        clause = replace(clause, please=True)
        opening = words("please", clause.link + 4)
        if dice.chance(0.3):
            clause = replace(clause, time=phrases.time(dice, modifiers.FUTURE_TIMES))
    return Pair((*opening, *english_bare(clause)), german_imperative(clause))


def existence(dice: Dice) -> Pair:
    """Draw "there is a lake in the forest": German puts the place first and says es gibt."""
    kinds, homes = dice.choice(_SETTINGS)
    thing = phrases.noun_phrase(dice, kinds, rich=0.4)
    determiner = dice.choice(("some", "many", "two", "three")) if thing.plural else "a"
    thing = replace(thing, determiner=determiner, possessor=None)
    home = NounPhrase(phrases.BY_NAME[dice.choice(homes)], dice.link())
    place = prepositional("in", "in", "dat", home, dice.link())
    if "restaurant" in kinds and dice.chance(0.5):
        place = phrases.city(dice, "in", "in")
    there = Pronoun(("there", "there"), ("es", "es", "es"), dice.link())
    tense = dice.choice((Tense.PRESENT, Tense.PAST))
    clause = Clause(there, verbs.THERE_IS, dice.link(), tense, accusative=thing)
    if dice.chance(0.25) and not thing.plural:
        clause = predicates.negate(clause)
    english = replace(clause, place=Pair(place.en, ()))
    german = replace(clause, opener=Pair((), place.de))
    if dice.chance(0.25):
        return Pair(english_question(english), german_question(replace(clause, place=place)))
    return Pair(english_statement(english), german_statement(german))


def weather(dice: Dice) -> Pair:
    """Draw "yesterday it rained in Hamburg"."""
    tense = dice.choice((Tense.PAST, Tense.FUTURE, Tense.PRESENT))
    clause = Clause(it("n", dice.link()), dice.choice((verbs.RAIN, verbs.SNOW)), dice.link(), tense)
    clause = predicates.decorate(dice, clause, Plan(extras=1.5))
    return statement(replace(clause, place=phrases.city(dice, "in", "in")))


def long_sentence(dice: Dice) -> Pair:
    """Draw a sentence of several clauses."""
    rich = Plan(relatives=0.45, extras=0.7, fronting=0.2)
    inner = INNER._replace(relatives=0.15, extras=0.8)
    tenses = PAST if dice.chance(0.75) else PRESENT
    start = _adverbial(dice, rich, inner, tenses)
    kind = dice.weighted({"and": 3, "but": 3, "that": 2.5})
    if kind == "that":
        subject = phrases.person(dice, subject=True, rich=0.3)
        matrix = Clause(subject, dice.choice(verbs.THAT_VERBS), dice.link(), Tense.PAST)
        plan = INNER._replace(tenses=PAST, relatives=0.3)
        main = any_clause(dice, plan)
        en, de = dice.choice((("because", "weil"), ("although", "obwohl")))
        second = any_clause(dice, plan._replace(relatives=0.1))
        middle = join(both("that", "dass", dice), subordinate(main))
        tail = join(both(en, de, dice), subordinate(second))
        return join(statement(matrix), DE_COMMA, middle, DE_COMMA, tail)
    last = any_clause(dice, rich._replace(fronting=0.1, tenses=tenses))
    if kind == "and":
        return join(start, COMMAS, both("and", "und", dice), statement(last))
    return join(start, COMMAS, both("but", "aber", dice), statement(last))


QUESTIONS: tuple[Callable[[Dice], Pair], ...] = (yes_no_question, wh_question)
WEIGHTS: dict[Callable[[Dice], Pair], float] = {
    simple: 32, description: 7, complement: 8, adverbial: 12, reason: 4, coordination: 5,
    shared_subject: 5, infinitive: 6, imperative: 4, yes_no_question: 6, wh_question: 7,
    existence: 2, weather: 1.5, long_sentence: 6,
}  # fmt: skip


def sentence(dice: Dice) -> SentencePair:
    """Draw a sentence of any kind."""
    kind = dice.weighted(WEIGHTS)
    pair = kind(dice)
    question = kind in QUESTIONS or pair.en[0].text in ("is", "are", "was", "were")
    return sentence_pair(pair, "?" if question else ".")


def long(dice: Dice) -> SentencePair:
    """Draw a sentence of several clauses."""
    return sentence_pair(long_sentence(dice), ".")
