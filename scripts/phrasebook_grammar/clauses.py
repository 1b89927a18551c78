"""Clauses: one meaning, put in order as English and as German wants it.

German main clauses have the finite verb second, questions first, subordinate clauses last; what is
not finite (participle, infinitive, separable prefix) closes the clause.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from . import english, german
from .modifiers import Fixed
from .nominals import Nominal, NounPhrase
from .verbs import THERE_IS, Modal, Verb
from .words import COMMA, Pair, Phrase, Word, join, words


class Tense(Enum):
    """English tenses; German says the past tenses with its perfect."""

    PRESENT = "present"
    PROGRESSIVE = "progressive"
    PAST = "past"
    PERFECT = "perfect"
    FUTURE = "future"


class Group(NamedTuple):
    """The verb words of a clause: the finite (or first) part and what follows elsewhere."""

    finite: Phrase
    rest: Phrase
    prefix: str = ""


@dataclass(frozen=True)
class Clause:
    """A clause before it is put in order.

    Links: `link` verb, + 1 modal (or the zu of an infinitive), + 2 negation, + 3 future,
    + 4 adverb, + 5 the preposition that the verb demands.
    """

    subject: Nominal
    verb: Verb
    link: int
    tense: Tense = Tense.PRESENT
    modal: Modal | None = None
    negated: bool = False
    adverb: Fixed | None = None  # often, never, already, ...
    please: bool = False
    dative: Nominal | None = None
    accusative: Nominal | None = None
    complement: Pair | None = None  # prepositional object, direction or predicate
    standard: Pair | None = None  # "than Anna": stands after the German verb
    manner: Pair | None = None
    place: Pair | None = None
    time: Pair | None = None
    opener: Pair | None = None  # what stands before the subject in a main clause

    @property
    def gives(self) -> bool:
        """Tell whether English says the dative with "to"."""
        return self.verb.frame == "give"

    @property
    def says_kein(self) -> bool:
        """Tell whether German negates the object instead of the verb."""
        return isinstance(self.accusative, NounPhrase) and self.accusative.negation is not None


# ------------------------------------------------------------------------------------- English


def _english_group(clause: Clause, inverted: bool) -> Group:
    subject, verb, link = clause.subject, clause.verb.en, clause.link
    past = clause.tense is Tense.PAST
    plural = subject.plural
    if clause.verb is THERE_IS and clause.accusative:
        plural = clause.accusative.plural

    def agree(base: str, past_form: str) -> str:
        return english.finite(base, past_form, subject.person, plural, past)

    full, full_past, full_link, tail = verb.base, verb.past, link, Phrase()
    if clause.modal:
        modal, full_link = clause.modal, link + 1
        full, full_past = modal.en, modal.en_past
        tail = (*words(modal.tail, full_link), *words(verb.base, link))
        if modal.auxiliary:
            form = agree("be", "was") if full == "be" else (full_past if past else full)
            return Group(words(form, full_link), tail)
    elif clause.tense is Tense.FUTURE:
        return Group(words("will", link + 3), words(verb.base, link))
    elif clause.tense is Tense.PROGRESSIVE:
        return Group(words(agree("be", "was"), link), words(english.gerund(verb.base), link))
    elif clause.tense is Tense.PERFECT:
        return Group(words(agree("have", "had"), link), words(verb.participle, link))
    elif verb.base == "be":
        return Group(words(agree("be", "was"), link), ())
    if inverted or clause.negated:
        return Group(words(agree("do", "did"), full_link), (*words(full, full_link), *tail))
    return Group((), (*words(agree(full, full_past), full_link), *tail))


def _english_objects(clause: Clause) -> Phrase:
    verb, accusative, dative = clause.verb.en, clause.accusative, clause.dative
    particle = words(verb.particle, clause.link)
    if particle and clause.verb.frame == "prep":
        particle = (*particle[:-1], *words(particle[-1].text, clause.link + 5))
    direct = accusative.english("acc") if accusative else ()
    if verb.splits and accusative and accusative.pronoun:
        return (*direct, *particle)
    indirect: Phrase = dative.english("acc") if dative else ()
    if dative and clause.gives:
        indirect = (Word("to", dative.german("dat")[0].links), *indirect)
    return (*particle, *direct, *indirect)


def _english_adverb(clause: Clause) -> Phrase:
    return words(clause.adverb.en, clause.link + 4) if clause.adverb else ()


def _english_end(clause: Clause) -> Phrase:
    ends = join(clause.complement, clause.standard, clause.manner, clause.place, clause.time).en
    return (*_english_objects(clause), *ends)


def english_statement(clause: Clause) -> Phrase:
    """Order a clause with its subject before the verb: "today Anna will not read the book"."""
    group = _english_group(clause, inverted=False)
    finite, negation = group.finite, words("not", clause.link + 2) if clause.negated else ()
    if clause.negated and finite and finite[0].text == "can":
        finite, negation = words("cannot", clause.link + 1, clause.link + 2), ()
    return (
        *(clause.opener.en if clause.opener else ()),
        *clause.subject.english("nom"),
        *finite,
        *negation,
        *_english_adverb(clause),
        *group.rest,
        *_english_end(clause),
    )


def english_question(clause: Clause) -> Phrase:
    """Order a question with do or another auxiliary first: "did Anna read the book"."""
    group = _english_group(clause, inverted=True)
    return (
        *(clause.opener.en if clause.opener else ()),
        *group.finite,
        *clause.subject.english("nom"),
        *(words("not", clause.link + 2) if clause.negated else ()),
        *_english_adverb(clause),
        *group.rest,
        *_english_end(clause),
    )


def english_bare(clause: Clause) -> Phrase:
    """Order a clause with a bare verb and no subject, as in imperatives and after "to"."""
    return (*words(clause.verb.en.base, clause.link), *_english_end(clause))


# -------------------------------------------------------------------------------------- German


def _german_group(clause: Clause) -> Group:
    verb, link, subject = clause.verb.de, clause.link, clause.subject
    place = german.slot(subject.person, subject.plural)
    past = clause.tense is Tense.PAST
    infinitive = words(verb.prefix + verb.infinitive, link)
    if clause.modal and clause.modal.de:
        modal = clause.modal.de
        form = modal.preterite[place] if past else modal.present[place]
        return Group(words(form, link + 1), infinitive)
    if clause.tense is Tense.FUTURE:
        return Group(words(german.WERDEN.present[place], link + 3), infinitive)
    if past and verb.preterite:
        return Group(words(verb.preterite[place], link), ())
    if past or clause.tense is Tense.PERFECT:
        auxiliary = german.SEIN if verb.auxiliary == "sein" else german.HABEN
        return Group(words(auxiliary.present[place], link), words(verb.participle, link))
    form = german.present(verb, subject.person, subject.plural)
    return Group(words(form, link), (), verb.prefix)


def _german_subject(clause: Clause) -> Phrase:
    tail = clause.subject.german_tail()
    return (*clause.subject.german("nom"), *tail, *((COMMA,) if tail else ()))


def _german_middle(clause: Clause, *, subject: bool) -> Phrase:
    """Order the middle field: subject, pronouns, time, dative, object, negation, the rest."""
    link, dative, accusative = clause.link, clause.dative, clause.accusative
    dat: Phrase = dative.german("dat") if dative else ()
    acc: Phrase = accusative.german("acc") if accusative else ()
    reflexive = clause.verb.de.reflexive
    place = german.slot(clause.subject.person, clause.subject.plural)
    adverb = clause.adverb.de if clause.adverb else ""
    likes = clause.modal is not None and clause.modal.de is None
    early = accusative is not None and accusative.definite
    pronoun_acc = accusative is not None and accusative.pronoun
    pronoun_dat = dative is not None and dative.pronoun
    return (
        *(_german_subject(clause) if subject else ()),
        *(words(german.REFLEXIVE[place], link) if reflexive else ()),
        *(acc if pronoun_acc else ()),
        *(dat if pronoun_dat else ()),
        *(words("bitte", link + 4) if clause.please else ()),
        *join(clause.time).de,
        *(() if pronoun_dat else dat),
        *(acc if early and not pronoun_acc else ()),
        *words(adverb, link + 4),
        *(words("nicht", link + 2) if clause.negated and not clause.says_kein else ()),
        *(words("gern", link + 1) if likes else ()),
        *join(clause.manner, clause.place).de,
        *(() if early else acc),
        *join(clause.complement).de,
    )


def _german_tail(clause: Clause) -> Phrase:
    relative = clause.accusative.german_tail() if clause.accusative else ()
    return (*join(clause.standard).de, *relative)


def german_statement(clause: Clause, front: Phrase = ()) -> Phrase:
    """Order a main clause: the finite verb second, after `front`, the opener or the subject."""
    group = _german_group(clause)
    front = front or (clause.opener.de if clause.opener else ())
    return (
        *(front or _german_subject(clause)),
        *group.finite,
        *_german_middle(clause, subject=bool(front)),
        *words(group.prefix, clause.link),
        *group.rest,
        *_german_tail(clause),
    )


def german_question(clause: Clause) -> Phrase:
    """Order a question: the finite verb first, or second after an interrogative opener."""
    group = _german_group(clause)
    return (
        *(clause.opener.de if clause.opener else ()),
        *group.finite,
        *_german_middle(clause, subject=True),
        *words(group.prefix, clause.link),
        *group.rest,
        *_german_tail(clause),
    )


def german_subordinate(clause: Clause) -> Phrase:
    """Order a subordinate clause: the finite verb last, joined with its prefix."""
    group = _german_group(clause)
    finite = tuple(Word(group.prefix + word.text, word.links) for word in group.finite)
    middle = _german_middle(clause, subject=True)
    return (*middle, *group.rest, *finite, *_german_tail(clause))


def german_infinitive(clause: Clause) -> Phrase:
    """Order an infinitive clause with zu: "die Tür zu öffnen", "das Licht einzuschalten"."""
    verb, link = clause.verb.de, clause.link
    if verb.prefix:
        infinitive: Phrase = words(german.zu_infinitive(verb), link, link + 1)
    else:
        infinitive = (*words("zu", link + 1), *words(verb.infinitive, link))
    return (*_german_middle(clause, subject=False), *infinitive, *_german_tail(clause))


def german_imperative(clause: Clause) -> Phrase:
    """Order a request to one friend: "mach bitte die Tür zu"."""
    verb = clause.verb.de
    return (
        *words(german.imperative(verb), clause.link),
        *_german_middle(clause, subject=False),
        *words(verb.prefix, clause.link),
        *_german_tail(clause),
    )


def statement(clause: Clause) -> Pair:
    """Order a main clause in both languages."""
    return Pair(english_statement(clause), german_statement(clause))


def subordinate(clause: Clause) -> Pair:
    """Order a subordinate clause in both languages."""
    return Pair(english_statement(clause), german_subordinate(clause))
