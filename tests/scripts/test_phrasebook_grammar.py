"""The phrasebook's grammar: inflection, word order and alignment, against hand-checked German."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from phrasebook_grammar import clauses, english, german, nominals, nouns, verbs
from phrasebook_grammar.clauses import Clause, Tense
from phrasebook_grammar.modifiers import ADJECTIVES, Fixed
from phrasebook_grammar.nominals import NounPhrase, personal
from phrasebook_grammar.words import COMMA, Pair, Word, fixed, sentence_pair, words

NOUN = {noun.en: noun for group in nouns.NOUNS.values() for noun in group}
ADJECTIVE = {adjective.en: adjective for adjective in ADJECTIVES}


def _verb(base: str, particle: str = "") -> verbs.Verb:
    return next(v for v in verbs.VERBS if (v.en.base, v.en.particle) == (base, particle))


def _the(en: str, link: int, **changes: object) -> NounPhrase:
    return replace(NounPhrase(NOUN[en], link), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("determiner", "noun", "plural", "expected"),
    [
        ("the", "dog", False,
         "der alte Hund|den alten Hund|dem alten Hund|des alten Hundes"),
        ("a", "dog", False,
         "ein alter Hund|einen alten Hund|einem alten Hund|eines alten Hundes"),
        ("my", "woman", False,
         "meine alte Frau|meine alte Frau|meiner alten Frau|meiner alten Frau"),
        ("this", "horse", False,
         "dieses alte Pferd|dieses alte Pferd|diesem alten Pferd|dieses alten Pferdes"),
        ("zero", "child", True,
         "alte Kinder|alte Kinder|alten Kindern|alter Kinder"),
        ("two", "student", True,
         "zwei alte Studenten|zwei alte Studenten|zwei alten Studenten|zwei alter Studenten"),
        ("the", "student", False,
         "der alte Student|den alten Studenten|dem alten Studenten|des alten Studenten"),
        ("many", "boy", True,
         "viele alte Jungen|viele alte Jungen|vielen alten Jungen|vieler alter Jungen"),
        ("our", "car", True,
         "unsere alten Autos|unsere alten Autos|unseren alten Autos|unserer alten Autos"),
    ],
)  # fmt: skip
def test_noun_phrases_in_all_cases(determiner: str, noun: str, plural: bool, expected: str) -> None:
    adjectives = (ADJECTIVE["old"],)
    phrase = NounPhrase(NOUN[noun], 10, determiner, plural, adjectives)
    got = (" ".join(w.text for w in phrase.german(case)) for case in german.CASES)
    assert "|".join(got) == expected


@pytest.mark.parametrize(
    ("case", "expected"),
    [("nom", "kalter Kaffee"), ("acc", "kalten Kaffee"), ("dat", "kaltem Kaffee")],
)
def test_strong_adjectives(case: str, expected: str) -> None:
    phrase = NounPhrase(NOUN["coffee"], 10, "zero", False, (ADJECTIVE["cold"],))
    assert " ".join(w.text for w in phrase.german(case)) == expected


def test_adjectives_that_lose_a_vowel() -> None:
    assert german.adjective("teuer", "mixed", "nom", "n") == "teures"
    assert german.adjective("dunkel", "weak", "acc", "m") == "dunklen"
    assert german.adjective("müde", "strong", "nom", "f") == "müde"


@pytest.mark.parametrize(
    ("verb", "present", "participle", "imperative", "infinitive"),
    [
        ("kaufen", "kaufe kaufst kauft kaufen", "gekauft", "kauf", "zu kaufen"),
        ("öffnen", "öffne öffnest öffnet öffnen", "geöffnet", "öffne", "zu öffnen"),
        ("zeichnen", "zeichne zeichnest zeichnet zeichnen", "gezeichnet", "zeichne", "zu zeichnen"),
        ("wohnen", "wohne wohnst wohnt wohnen", "gewohnt", "wohn", "zu wohnen"),
        ("lächeln", "lächle lächelst lächelt lächeln", "gelächelt", "lächle", "zu lächeln"),
        ("füttern", "füttere fütterst füttert füttern", "gefüttert", "füttere", "zu füttern"),
        ("reparieren", "repariere reparierst repariert reparieren",
         "repariert", "reparier", "zu reparieren"),
        ("besuchen", "besuche besuchst besucht besuchen", "besucht", "besuch", "zu besuchen"),
        ("zu+machen", "mache machst macht machen", "zugemacht", "mach", "zuzumachen"),
        ("ein+laden lädt geladen", "lade lädst lädt laden", "eingeladen", "lade", "einzuladen"),
        ("lesen liest gelesen", "lese liest liest lesen", "gelesen", "lies", "zu lesen"),
        ("geben gibt gegeben", "gebe gibst gibt geben", "gegeben", "gib", "zu geben"),
    ],
)  # fmt: skip
def test_verbs(verb: str, present: str, participle: str, imperative: str, infinitive: str) -> None:
    parsed = german.parse_verb(verb)
    slots = ((1, False), (2, False), (3, False), (3, True))
    assert " ".join(german.present(parsed, *slot) for slot in slots) == present
    assert parsed.participle == participle
    assert german.imperative(parsed) == imperative
    assert german.zu_infinitive(parsed) == infinitive


def test_english_forms() -> None:
    assert english.article("egg") == "an" and english.article("used car") == "a"
    assert [english.plural(n) for n in ("box", "lady", "day", "church")] == [
        "boxes", "ladies", "days", "churches",
    ]  # fmt: skip
    assert [english.third_person(v) for v in ("go", "have", "try", "wash", "buy")] == [
        "goes", "has", "tries", "washes", "buys",
    ]  # fmt: skip
    assert [english.past_tense(v) for v in ("plan", "try", "love", "open", "answer")] == [
        "planned", "tried", "loved", "opened", "answered",
    ]  # fmt: skip
    assert [english.gerund(v) for v in ("lie", "sit", "write", "open", "see")] == [
        "lying", "sitting", "writing", "opening", "seeing",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("noun", "preposition", "case", "expected"),
    [
        ("garden", "in", "dat", "im Garten"),
        ("garden", "in", "acc", "in den Garten"),
        ("room", "in", "acc", "ins Zimmer"),
        ("school", "zu", "dat", "zur Schule"),
        ("lake", "an", "dat", "am See"),
        ("table", "auf", "acc", "auf den Tisch"),
    ],
)
def test_two_way_prepositions(noun: str, preposition: str, case: str, expected: str) -> None:
    pair = nominals.prepositional("at", preposition, case, _the(noun, 10), 5)
    assert " ".join(w.text for w in pair.de) == expected


def _clauses() -> dict[str, tuple[Pair, str]]:
    """Build one sentence for each phenomenon."""
    man, book = _the("man", 110), _the("book", 120)
    read = Clause(man, _verb("read"), 10, Tense.PAST, accusative=book)
    lamp = replace(read, verb=_verb("turn", "on"), accusative=_the("lamp", 120))
    gave = replace(read, verb=_verb("give"), dative=_the("child", 130), accusative=book)
    bought = Clause(personal("she", 140), _verb("buy"), 20, Tense.PAST)
    which = nominals.relative(NOUN["book"], False, 150)
    relative = Pair(
        (*which.english("acc"), *clauses.english_statement(bought)),
        (*which.german("acc"), *clauses.german_subordinate(bought)),
    )
    no_book = _the("book", 120, determiner="a", negation=12)
    yesterday = fixed("yesterday", "gestern", 40)
    because = Pair(words("because", 50), (COMMA, *words("weil", 50)))

    def after(front: Pair, clause: Clause) -> Pair:
        rest = clauses.subordinate(clause)
        return Pair((*front.en, *rest.en), (*front.de, *rest.de))

    present = replace(lamp, tense=Tense.PRESENT)
    went = Clause(man, _verb("go"), 10, Tense.PAST, complement=fixed("home", "nach Hause", 60))
    waits = Clause(
        man, _verb("wait", "for"), 10,
        complement=nominals.prepositional("", "auf", "acc", _the("bus", 120), 15),
    )  # fmt: skip
    question = Pair(clauses.english_question(read), clauses.german_question(read))
    infinitive = Pair(
        (*words("try", 1), *words("to", 11), *clauses.english_bare(lamp)),
        (*words("versuch", 1), COMMA, *clauses.german_infinitive(lamp)),
    )
    return {
        "The man read the book.": (clauses.statement(read), "Der Mann hat das Buch gelesen."),
        "Yesterday the man read the book.": (
            clauses.statement(replace(read, opener=yesterday)),
            "Gestern hat der Mann das Buch gelesen.",
        ),
        "The man did not read the book.": (
            clauses.statement(replace(read, negated=True)),
            "Der Mann hat das Buch nicht gelesen.",
        ),
        "The man did not read a book.": (
            clauses.statement(replace(read, negated=True, accusative=no_book)),
            "Der Mann hat kein Buch gelesen.",
        ),
        "The man had to read the book.": (
            clauses.statement(replace(read, modal=verbs.MUST)),
            "Der Mann musste das Buch lesen.",
        ),
        "The man likes to read the book.": (
            clauses.statement(replace(read, tense=Tense.PRESENT, modal=verbs.LIKE)),
            "Der Mann liest das Buch gern.",
        ),
        "The man will read the book yesterday.": (
            clauses.statement(replace(read, tense=Tense.FUTURE, time=yesterday)),
            "Der Mann wird gestern das Buch lesen.",
        ),
        "The man has already read the book.": (
            clauses.statement(
                replace(read, tense=Tense.PERFECT, adverb=Fixed("already", "schon"))
            ),
            "Der Mann hat das Buch schon gelesen.",
        ),
        "The man turns on the lamp.": (
            clauses.statement(present), "Der Mann schaltet die Lampe ein.",
        ),
        "The man turns it on.": (
            clauses.statement(replace(present, accusative=nominals.it("f", 120))),
            "Der Mann schaltet sie ein.",
        ),
        "Because the man turns on the lamp.": (
            after(because, present), "Weil der Mann die Lampe einschaltet.",
        ),
        "Because the man could turn on the lamp.": (
            after(because, replace(lamp, modal=verbs.CAN)),
            "Weil der Mann die Lampe einschalten konnte.",
        ),
        "Try to turn on the lamp.": (infinitive, "Versuch, die Lampe einzuschalten."),
        "The man gave the book to the child.": (
            clauses.statement(gave), "Der Mann hat dem Kind das Buch gegeben.",
        ),
        "The man read the book that she bought.": (
            clauses.statement(replace(read, accusative=replace(book, relative=relative))),
            "Der Mann hat das Buch gelesen, das sie gekauft hat.",
        ),
        "The book that she bought disappeared.": (
            clauses.statement(
                Clause(replace(book, relative=relative), _verb("disappear"), 10, Tense.PAST)
            ),
            "Das Buch, das sie gekauft hat, ist verschwunden.",
        ),
        "The man went home.": (clauses.statement(went), "Der Mann ist nach Hause gegangen."),
        "The man waits for the bus.": (clauses.statement(waits), "Der Mann wartet auf den Bus."),
        "Did the man read the book.": (question, "Hat der Mann das Buch gelesen."),
        "The man read the teacher's book.": (
            clauses.statement(
                replace(
                    read,
                    accusative=_the(
                        "book", 120, determiner="possessor", possessor=_the("teacher", 160)
                    ),
                )
            ),
            "Der Mann hat das Buch des Lehrers gelesen.",
        ),
    }  # fmt: skip


@pytest.mark.parametrize("en", sorted(_clauses()))
def test_word_order(en: str) -> None:
    pair, de = _clauses()[en]
    done = sentence_pair(pair, ".")
    assert (done.en, done.de) == (en, de)


def test_alignment_of_a_separable_verb_and_of_do() -> None:
    pair, _ = _clauses()["The man turns on the lamp."]
    # turns, on - schaltet, ein; the rest one to one
    assert sentence_pair(pair, ".").alignment == "0-0 1-1 2-2 2-5 3-2 3-5 4-3 5-4"
    pair, _ = _clauses()["The man did not read a book."]
    # did, read - hat, gelesen; not, a - kein
    assert sentence_pair(pair, ".").alignment == "0-0 1-1 2-2 2-5 3-3 4-2 4-5 5-3 6-4"


def test_fixed_phrases_need_as_many_groups_on_both_sides() -> None:
    with pytest.raises(ValueError, match="different numbers of groups"):
        fixed("every|day", "täglich", 1)


def test_commas_are_never_doubled_nor_final() -> None:
    word = Word("ja", frozenset({1}))
    pair = Pair((word,), (COMMA, word, COMMA, COMMA, word, COMMA))
    assert sentence_pair(pair, ".").de == "Ja, ja."
