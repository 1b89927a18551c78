"""The verbs of the phrasebook, with what they take, and the modal verbs."""

from typing import NamedTuple

from . import english, german
from .english import EnglishVerb
from .german import GermanVerb


class Verb(NamedTuple):
    """A verb in both languages and its frame.

    `frame` says what stands with it: none, place (needs a location), direction, city, water,
    surface (on furniture), acc, dat, give (dative and accusative), put (accusative and a direction
    on furniture), prep (a prepositional object), predicate, clause, infinitive; weather and there
    are for verbs without a subject of their own.
    """

    en: EnglishVerb
    de: GermanVerb
    frame: str
    subjects: tuple[str, ...]
    objects: tuple[str, ...]
    preposition: str  # German preposition of a prepositional object
    case: str
    manners: str  # adverbs of manner that fit: "q" (slowly), "l" (loudly), "p" (patiently) or ""


class Modal(NamedTuple):
    """A modal verb; in English an auxiliary ("can"), a verb ("want" + to) or be + adjective."""

    en: str
    en_past: str
    tail: str  # what follows the English finite verb: "to", "allowed to"
    auxiliary: bool  # forms questions and negations without do
    de: GermanVerb | None  # None: German says it with the adverb gern


# English | German | frame | objects | extras ("s:kinds" subjects, "m:q" manners, preposition+case)
_TABLE = """
eat ate eaten | essen isst gegessen | acc | food | m:q
drink drank drunk | trinken trinkt getrunken | acc | drink | m:q
cook | kochen | acc | egg potato soup rice fish meat |
cut cut cut | schneiden schneidet geschnitten | acc | bread cheese cake apple sausage meat | m:q
order | bestellen | acc | food drink |
taste | probieren | acc | food drink | m:q
read read read | lesen liest gelesen | acc | text | m:q
write wrote written | schreiben schreibt geschrieben | acc | text | m:q
buy bought bought | kaufen | acc | thing clothes food vehicle text furniture |
sell sold sold | verkaufen | acc | thing clothes vehicle furniture |
see saw seen | sehen sieht gesehen | acc | thing person animal vehicle place transport film |
find found found | finden findet gefunden | acc | thing clothes animal text |
lose lost lost | verlieren verliert verloren | acc | thing clothes letter |
look_for | suchen | acc | thing clothes person animal text |
need | brauchen | acc | thing clothes vehicle device |
love | lieben | acc | person animal place song |
meet met met | treffen trifft getroffen | acc | person |
visit | besuchen | acc | person museum city castle church village |
hear heard heard | hören | acc | person animal song concert story |
watch | beobachten | acc | animal person | m:p
clean | putzen | acc | room kitchen door vehicle furniture shoe | m:q
wash | waschen wäscht gewaschen | acc | clothes vehicle cup glass plate | m:q
repair | reparieren | acc | vehicle device furniture clock |
open | öffnen | acc | door box bag letter bottle suitcase | m:q
close | zu+machen | acc | door box bag cupboard suitcase | m:q
lock | ab+schließen - geschlossen | acc | door cupboard car suitcase |
turn+on | ein+schalten | acc | device |
turn+off | aus+schalten | acc | device |
put+on put put | an+ziehen - gezogen | acc | clothes | m:q
take+off took taken | aus+ziehen - gezogen | acc | clothes | m:q
pick+up | ab+holen | acc | person |
call | an+rufen - gerufen | acc | person |
invite | ein+laden lädt geladen | acc | person |
throw+away threw thrown | weg+werfen wirft geworfen | acc | thing clothes text |
tidy+up | auf+räumen | acc | room kitchen cellar office desk cupboard | m:q
try+on | an+probieren | acc | clothes |
carry | tragen trägt getragen | acc | basket box suitcase bag child table chair | m:q
forget forgot forgotten | vergessen vergisst vergessen | acc | thing clothes word answer rule |
understand understood understood | verstehen - verstanden | acc | idea text person |
draw drew drawn | zeichnen | acc | animal thing map house person | m:q
photograph | fotografieren | acc | person animal place flower |
build built built | bauen | acc | house bridge boat church castle |
feed fed fed | füttern | acc | animal |
hide hid hidden | verstecken | acc | thing letter |
use | benutzen | acc | device vehicle thing |
choose chose chosen | wählen | acc | clothes film gift song |
pay_for paid paid | bezahlen | acc | thing clothes food drink trip |
like | mögen | acc | person animal food drink song text |
sing sang sung | singen singt gesungen | acc | song | m:l
wear wore worn | tragen trägt getragen | acc | clothes |
bring+back brought brought | zurück+bringen bringt gebracht | acc | thing text clothes |
have had had | haben | acc | animal thing vehicle device question plan problem |
give gave given | geben gibt gegeben | give | thing text clothes food animal |
show showed shown | zeigen | give | thing text clothes place |
send sent sent | schicken | give | text gift picture flower |
lend lent lent | leihen leiht geliehen | give | thing text clothes vehicle |
explain | erklären | give | idea story | m:p
tell told told | erzählen | give | story joke secret |
recommend | empfehlen empfiehlt empfohlen | give | film book novel hotel restaurant wine |
promise | versprechen verspricht versprochen | give | gift trip answer ring |
help | helfen hilft geholfen | dat | person |
thank | danken | dat | person |
follow | folgen - gefolgt* | dat | person animal vehicle | m:q
listen_to | zu+hören | dat | person | m:p
answer | antworten | dat | person |
trust | vertrauen | dat | person |
congratulate | gratulieren | dat | person |
lay laid laid | legen | put | book letter newspaper pen knife spoon map ticket key picture | m:q
put put put | stellen | put | cup bottle glass plate lamp radio basket candle box | m:q
wait_for | warten | prep | person transport answer letter | auf+acc m:p
think_of thought thought | denken denkt gedacht | prep | person trip wedding problem | an+acc
talk_about | reden | prep | person event plan problem film book | über+acc
laugh_about | lachen | prep | joke story film mistake answer | über+acc m:l
dream_of | träumen | prep | person animal place trip | von+dat
remember | sich erinnern | prep | person event word story place | an+acc
look_forward_to | sich freuen | prep | event letter gift | auf+acc
take_care_of took taken | sich kümmern | prep | person animal flower problem | um+acc
complain_about | sich beschweren | prep | person soup coffee rule plan hotel room | über+acc
ask_about | fragen | prep | person plan answer book problem | nach+dat
sleep slept slept | schlafen schläft geschlafen | none | | s:person,animal
work | arbeiten | none | | m:q
laugh | lachen | none | | m:l
sing sang sung | singen singt gesungen | none | | m:l
dance | tanzen | none | |
cry | weinen | none | | m:l
smile | lächeln | none | |
cook | kochen | none | |
hurry | sich beeilen | none | |
smoke | rauchen | none | |
get_up got gotten | auf+stehen - gestanden* | none | | s:person
wake_up woke woken | auf+wachen - gewacht* | none | | s:person,animal
fall_asleep fell fallen | ein+schlafen schläft geschlafen* | none | | s:person,animal
come_back came come | zurück+kommen - gekommen* | none | | s:person,animal
arrive | an+kommen - gekommen* | none | | s:transport,person
depart | ab+fahren fährt gefahren* | none | | s:train,bus,ship,tram
disappear | verschwinden - verschwunden* | none | | s:animal,thing,person
live | wohnen | place | | s:person
sit sat sat | sitzen - gesessen | place | | s:person,animal
wait | warten | place | | m:p s:person
stay | bleiben - geblieben* | place | | s:person
swim swam swum | schwimmen - geschwommen* | water | | s:person,dog,duck
lie lay lain | liegen - gelegen | surface | | s:book,letter,newspaper,map,key,picture,ticket,cat,dog
stand stood stood | stehen - gestanden | surface | | s:cup,bottle,lamp,radio,glass,suitcase,candle
go went gone | gehen - gegangen* | direction | | m:q
run ran run | laufen läuft gelaufen* | direction | | s:person,animal
drive drove driven | fahren fährt gefahren* | direction | | m:q
come came come | kommen - gekommen* | direction | |
travel | reisen - gereist* | city | |
fly flew flown | fliegen - geflogen* | city | | s:person,plane
"""

_IRREGULAR = {
    "haben": german.HABEN,
    "mögen": german.irregular(
        "mögen", "gemocht", "haben", "mag magst mag mögen mögt mögen", "mochte"
    ),
}


def _extras(text: str) -> dict[str, str]:
    found = {"s": "person", "m": "", "prep": "", "case": ""}
    for item in text.split():
        if "+" in item:
            found["prep"], found["case"] = item.split("+")
        else:
            key, value = item.split(":")
            found[key] = value
    return found


def _verb(row: str) -> Verb:
    en, de, frame, objects, extra_text = (field.strip() for field in row.split("|"))
    extras = _extras(extra_text)
    return Verb(
        en=english.parse_verb(en),
        de=_IRREGULAR.get(de) or german.parse_verb(de),
        frame=frame,
        subjects=tuple(extras["s"].split(",")),
        objects=tuple(objects.split()),
        preposition=extras["prep"],
        case=extras["case"],
        manners=extras["m"],
    )


def _plain(en: str, de: GermanVerb, frame: str) -> Verb:
    return Verb(english.parse_verb(en), de, frame, ("person",), (), "", "", "")


VERBS = tuple(_verb(row) for row in _TABLE.strip().splitlines())
BE = _plain("be was been", german.SEIN, "predicate")
RAIN = _plain("rain", german.parse_verb("regnen"), "weather")
SNOW = _plain("snow", german.parse_verb("schneien"), "weather")
THERE_IS = _plain(
    "be was been",
    german.irregular("geben", "gegeben", "haben", "gebe gibst gibt geben gebt geben", "gab"),
    "there",
)
KNOW = _plain(
    "know knew known",
    german.irregular(
        "wissen", "gewusst", "haben", "weiß weißt weiß wissen wisst wissen", "wusste"
    )._replace(preterite=()),
    "clause",
)
# Verbs that take a that-clause, verbs that take a question, verbs that take an infinitive.
THAT_VERBS = (
    KNOW,
    *(
        _plain(en, german.parse_verb(de), "clause")
        for en, de in {
            "say said said": "sagen",
            "believe": "glauben",
            "hope": "hoffen",
            "claim": "behaupten",
            "notice": "bemerken",
            "report": "berichten",
        }.items()
    ),
)
ASKING_VERBS = (
    _plain("ask", german.parse_verb("fragen"), "clause"),
    _plain("wonder", german.parse_verb("sich fragen"), "clause"),
)
TO_VERBS = tuple(
    _plain(en, german.parse_verb(de), "infinitive")
    for en, de in {
        "try": "versuchen",
        "decide": "beschließen beschließt beschlossen",
        "plan": "planen",
        "begin began begun": "beginnen beginnt begonnen",
    }.items()
)


def _modal_de(infinitive: str, forms: str, past: str) -> GermanVerb:
    return german.irregular(infinitive, "", "haben", forms, past)


CAN = Modal("can", "could", "", True, _modal_de(
    "können", "kann kannst kann können könnt können", "konnte"))  # fmt: skip
MUST = Modal("have", "had", "to", False, _modal_de(
    "müssen", "muss musst muss müssen müsst müssen", "musste"))  # fmt: skip
WANT = Modal("want", "wanted", "to", False, _modal_de(
    "wollen", "will willst will wollen wollt wollen", "wollte"))  # fmt: skip
MAY = Modal("be", "was", "allowed to", True, _modal_de(
    "dürfen", "darf darfst darf dürfen dürft dürfen", "durfte"))  # fmt: skip
SHOULD = Modal("should", "", "", True, _modal_de(
    "sollen", "sollte solltest sollte sollten solltet sollten", ""))  # fmt: skip
WOULD_LIKE = Modal("would", "", "like to", True, _modal_de(
    "mögen", "möchte möchtest möchte möchten möchtet möchten", ""))  # fmt: skip
LIKE = Modal("like", "", "to", False, None)
MODALS = (CAN, MUST, WANT, MAY, SHOULD, WOULD_LIKE, LIKE)
