"""Random clauses: a verb with everything that it takes, in a tense that fits."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from . import modifiers, phrases, verbs
from .clauses import Clause, Tense, english_statement, german_subordinate
from .modifiers import FREQUENCY
from .nominals import Nominal, NounPhrase, prepositional, relative
from .nouns import Noun
from .phrases import Dice
from .verbs import MODALS, VERBS, Verb
from .words import Pair

# Verbs of states and of what merely happens: no progressive, no wish and no duty.
_STATES = {"need", "love", "like", "have", "understand", "see", "hear", "trust", "remember"}
_EVENTS = {
    "find", "lose", "forget", "disappear", "fall", "wake", "arrive", "depart", "dream", "lie",
    "stand",
}  # fmt: skip
_PLACELESS = _STATES | _EVENTS | {"pay", "build", "look", "come", "use"}
_CERTAIN = ("the", "this", "possessor")


class Plan(NamedTuple):
    """What a clause has to be like."""

    tenses: tuple[Tense, ...] = ()  # empty: any
    modals: bool = True
    negation: float = 0.12
    extras: float = 1.0  # scales the number of adverbials
    relatives: float = 0.0  # probability of a relative clause on a noun phrase
    fronting: float = 0.35


SIMPLE = Plan()
BARE = Plan(modals=False, negation=0.0, extras=0.4, fronting=0.0)
_TENSE_WEIGHTS = {
    Tense.PAST: 4.5, Tense.PRESENT: 2.6, Tense.PROGRESSIVE: 0.8, Tense.FUTURE: 1.3,
    Tense.PERFECT: 0.5,
}  # fmt: skip


def _is_state(verb: Verb) -> bool:
    return verb.en.base in _STATES


def is_willing(verb: Verb) -> bool:
    """Tell whether one can want to do what the verb says."""
    forward = verb.en.particle.startswith("forward")
    return verb.en.base not in _STATES | _EVENTS and not forward and "person" in verb.subjects


def draw_subject(dice: Dice, kinds: Sequence[str], plan: Plan) -> Nominal:
    """Draw the subject for a verb whose subjects are of the given kinds."""
    if "person" in kinds and dice.chance(0.85 if len(kinds) > 1 else 1.0):
        drawn = phrases.person(dice, subject=True)
    else:
        others = [kind for kind in kinds if kind != "person"]
        drawn = phrases.noun_phrase(dice, others, subject=True)
    return with_relative(dice, drawn, plan, owner=None)


def with_relative(dice: Dice, nominal: Nominal, plan: Plan, owner: Nominal | None) -> Nominal:
    """Give a noun phrase a relative clause, with the probability in the plan."""
    if not isinstance(nominal, NounPhrase) or nominal.determiner not in (*_CERTAIN, "a", "two"):
        return nominal
    if nominal.possessor or not dice.chance(plan.relatives):
        return nominal
    if nominal.noun.kind != "person" and not _transitives(nominal.noun):
        return nominal
    return replace(nominal, relative=relative_clause(dice, nominal, owner))


def _transitives(noun: Noun) -> list[Verb]:
    kinds = {noun.kind, noun.en}
    return [v for v in VERBS if v.frame == "acc" and kinds & {*v.objects} and v.en.base != "have"]


def relative_clause(dice: Dice, nominal: NounPhrase, owner: Nominal | None) -> Pair:
    """Draw a relative clause without the comma that closes it in German."""
    noun = nominal.noun
    pronoun = relative(noun, nominal.plural, dice.link())
    tenses = (Tense.PAST, Tense.PAST, Tense.PRESENT)
    plan = BARE._replace(tenses=(dice.choice(tenses),))
    if noun.kind == "person":
        clause = draw_clause(dice, plan, subject=pronoun)
        return Pair(english_statement(clause), german_subordinate(clause))
    fitting = _transitives(noun)
    subject = phrases.person(dice, avoid=owner, rich=0.15, subject=True)
    clause = draw_clause(dice, plan, subject=subject, verb=dice.choice(fitting), gap=True)
    return Pair(
        (*pronoun.english("acc"), *english_statement(clause)),
        (*pronoun.german("acc"), *german_subordinate(clause)),
    )


def _draw_tense(dice: Dice, verb: Verb, plan: Plan, subject: Nominal) -> Tense:
    """Draw a tense; "they put" and "you read" are always past, so that they mean one thing."""
    if verb.en.base == verb.en.past and (subject.plural or subject.person != 3):
        others = tuple(t for t in plan.tenses or Tense if t is not Tense.PRESENT)
        plan = plan._replace(tenses=others or (Tense.PAST,))
    weights = {t: w for t, w in _TENSE_WEIGHTS.items() if not plan.tenses or t in plan.tenses}
    if _is_state(verb) or verb.en.base in _EVENTS or verb.frame in ("surface", "place"):
        weights = {t: w for t, w in weights.items() if t not in (Tense.PROGRESSIVE, Tense.PERFECT)}
    return dice.weighted(weights)


def _with_modal(dice: Dice, clause: Clause, plan: Plan) -> Clause:
    tense_fits = clause.tense in (Tense.PRESENT, Tense.PAST)
    if not (plan.modals and tense_fits and is_willing(clause.verb)) or not dice.chance(0.25):
        return clause
    if isinstance(clause.subject, NounPhrase) and clause.subject.noun.kind != "person":
        return clause
    past = clause.tense is Tense.PAST
    fitting = [m for m in MODALS if not past or m.en_past]
    return replace(clause, modal=dice.choice(fitting))


def negate(clause: Clause) -> Clause:
    """Negate a clause; an indefinite object turns the negation into kein."""
    target = clause.accusative
    if isinstance(target, NounPhrase):
        if target.determiner == "every" or target.relative:
            return clause
        if not target.definite and clause.modal is not verbs.LIKE:
            determiner = "zero" if target.plural else target.determiner
            kein = replace(target, determiner=determiner, negation=clause.link + 2)
            return replace(clause, negated=True, accusative=kein)
    subject = clause.subject
    if isinstance(subject, NounPhrase) and (not subject.definite or subject.determiner == "every"):
        return clause
    return replace(clause, negated=True)


def decorate(dice: Dice, clause: Clause, plan: Plan) -> Clause:
    """Add negation, an adverb of frequency, manner, place and time."""
    verb, tense, scale = clause.verb, clause.tense, plan.extras
    if tense is Tense.PERFECT:
        clause = replace(clause, adverb=modifiers.ALREADY)
    elif tense is Tense.PROGRESSIVE:
        clause = replace(clause, time=phrases.adverbial(dice, modifiers.NOW))
    elif dice.chance(plan.negation) and clause.modal is not verbs.WOULD_LIKE:
        clause = negate(clause)
    elif clause.modal is None and tense is not Tense.FUTURE and verb.frame != "surface":
        often = tense is Tense.PRESENT and not _is_state(verb) and verb.en.base != "live"
        if dice.chance((0.3 if often else 0.03) * scale) and not _is_state(verb):
            clause = replace(clause, adverb=dice.choice(FREQUENCY))
    if verb.manners and not clause.negated and not clause.adverb and dice.chance(0.25 * scale):
        manner = phrases.adverbial(dice, dice.choice(modifiers.MANNERS[verb.manners]))
        clause = replace(clause, manner=manner)
    clause = _with_time(dice, _with_place(dice, clause, plan), plan)
    target = clause.accusative
    if isinstance(target, NounPhrase) and target.relative:
        # At the end of the English clause they would seem to belong to the relative clause.
        return replace(clause, manner=None, place=None, time=None)
    return clause


def _with_place(dice: Dice, clause: Clause, plan: Plan) -> Clause:
    verb, target = clause.verb, clause.accusative
    if verb.frame not in ("acc", "none", "prep", "dat") or verb.en.base in _PLACELESS:
        return clause
    kind = target.noun.kind if isinstance(target, NounPhrase) else ""
    if kind in ("place", "door", "furniture", "device") or not dice.chance(0.28 * plan.extras):
        return clause
    outdoors = kind in ("vehicle", "animal")
    return replace(clause, place=phrases.location(dice, outdoors=outdoors))


def _with_time(dice: Dice, clause: Clause, plan: Plan) -> Clause:
    tense, modal = clause.tense, clause.modal
    if clause.time or tense is Tense.PERFECT or _is_state(clause.verb):
        return clause
    if not dice.chance(0.55 * plan.extras):
        return clause
    if tense is Tense.PAST:
        drawn = phrases.past_time(dice)
    elif tense is Tense.FUTURE or (modal and modal.de):
        drawn = phrases.time(dice, modifiers.FUTURE_TIMES)
    elif clause.adverb or clause.negated or modal:
        return clause
    else:
        drawn = phrases.time(dice, modifiers.HABIT_TIMES)
    if dice.chance(plan.fronting):
        return replace(clause, opener=drawn)
    return replace(clause, time=drawn)


def _object(dice: Dice, verb: Verb, subject: Nominal, plan: Plan) -> Nominal:
    kinds = verb.objects
    if "person" in kinds and dice.chance(0.6 if len(kinds) > 1 else 1.0):
        drawn = phrases.person(dice, avoid=subject)
    else:
        others = [kind for kind in kinds if kind != "person"]
        drawn = phrases.noun_phrase(dice, others, avoid=subject)
    return with_relative(dice, drawn, plan, owner=subject)


def _complement(dice: Dice, verb: Verb, subject: Nominal, link: int) -> Pair | None:
    """Draw what the frame of the verb demands besides plain objects."""
    match verb.frame:
        case "direction":
            return phrases.direction(dice, on_foot=verb.en.base != "drive")
        case "city":
            return phrases.city(dice, "to", "nach")
        case "water":
            return phrases.water(dice)
        case "surface":
            return phrases.spot(dice, "dat")
        case "put":
            return phrases.spot(dice, "acc")
        case "place":
            return phrases.location(dice, cities=0.3 if verb.en.base == "live" else 0.1)
        case "prep":
            target = _object(dice, verb, subject, SIMPLE)
            demanded = link + 5 if verb.en.particle else link
            return prepositional("", verb.preposition, verb.case, target, demanded)
    return None


def draw_clause(
    dice: Dice,
    plan: Plan,
    *,
    subject: Nominal | None = None,
    verb: Verb | None = None,
    gap: bool = False,
) -> Clause:
    """Draw a clause; with `gap` its accusative stands elsewhere and is left out."""
    if verb is None:
        fitting = [v for v in VERBS if subject is None or "person" in v.subjects]
        verb = dice.choice(fitting)
    if subject is None:
        subject = draw_subject(dice, verb.subjects, plan)
    link = dice.link()
    clause = Clause(subject, verb, link, _draw_tense(dice, verb, plan, subject))
    clause = _with_modal(dice, clause, plan)
    if verb.frame in ("dat", "give"):
        clause = replace(clause, dative=phrases.definite_person(dice, avoid=subject))
    if verb.frame in ("acc", "give", "put") and not gap:
        object_plan = plan if verb.frame == "acc" else plan._replace(relatives=0.0)
        clause = replace(clause, accusative=_object(dice, verb, subject, object_plan))
    clause = replace(clause, complement=_complement(dice, verb, subject, link))
    return decorate(dice, clause, plan)
