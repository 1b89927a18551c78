"""Adjectives, adverbs and time expressions of the phrasebook."""

from typing import NamedTuple


class Adjective(NamedTuple):
    """An adjective with its comparative in both languages and the kinds of noun that it suits."""

    en: str
    en_comparative: str
    de: str
    de_comparative: str
    kinds: tuple[str, ...]


class Fixed(NamedTuple):
    """A fixed phrase in both languages; "|" divides groups that correspond in order."""

    en: str
    de: str


# English [comparative] | German comparative | kinds of noun ("all" is every visible thing)
_ADJECTIVES = """
old older | alt älter | person animal thing text vehicle clothes furniture device door place
new newer | neu neuer | thing text vehicle clothes furniture device door place idea event
young younger | jung jünger | person animal
big bigger | groß größer | animal thing vehicle clothes furniture device door place
small smaller | klein kleiner | animal thing vehicle clothes furniture device door place
friendly friendlier | freundlich freundlicher | person
strong stronger | stark stärker | person animal
happy happier | glücklich glücklicher | person
sad sadder | traurig trauriger | person text
tired | müde müder | person
sick | krank kränker | person animal
rich richer | reich reicher | person
poor poorer | arm ärmer | person
famous | berühmt berühmter | person place text
clever cleverer | klug klüger | person animal
lazy lazier | faul fauler | person animal
brave braver | mutig mutiger | person
polite | höflich höflicher | person
hungry hungrier | hungrig hungriger | person animal
nervous | nervös nervöser | person
beautiful | schön schöner | thing text clothes place event
ugly uglier | hässlich hässlicher | thing clothes furniture place
expensive | teuer teurer | thing vehicle clothes furniture device
cheap cheaper | billig billiger | thing vehicle clothes furniture device
heavy heavier | schwer schwerer | thing furniture device
dirty dirtier | schmutzig schmutziger | thing vehicle clothes furniture animal
clean cleaner | sauber sauberer | thing vehicle clothes furniture
red | rot röter | thing vehicle clothes furniture
blue | blau blauer | thing vehicle clothes furniture
green | grün grüner | thing vehicle clothes furniture door
yellow | gelb gelber | thing vehicle clothes furniture
black | schwarz schwärzer | animal thing vehicle clothes furniture
white | weiß weißer | animal thing vehicle clothes furniture door
brown | braun brauner | animal thing clothes furniture
long longer | lang länger | text clothes
short shorter | kurz kürzer | text clothes
modern | modern moderner | device place vehicle transport
fast faster | schnell schneller | vehicle transport animal
fresh fresher | frisch frischer | food
cold colder | kalt kälter | food drink
warm warmer | warm wärmer | food drink clothes
sweet sweeter | süß süßer | food drink
good better | gut besser | food drink idea event text
bad worse | schlecht schlechter | food drink idea
dark darker | dunkel dunkler | place
quiet quieter | ruhig ruhiger | place person animal
important | wichtig wichtiger | idea text event
difficult | schwierig schwieriger | idea text
interesting | interessant interessanter | text idea event
boring | langweilig langweiliger | text event
strange stranger | seltsam seltsamer | person animal idea event text
funny funnier | lustig lustiger | person text idea event
"""


def _adjective(row: str) -> Adjective:
    en, de, kinds = (field.split() for field in row.split("|"))
    comparative = en[1] if len(en) > 1 else f"more {en[0]}"
    return Adjective(en[0], comparative, de[0], de[1], tuple(kinds))


ADJECTIVES = tuple(_adjective(row) for row in _ADJECTIVES.strip().splitlines())
_UNCOMPARED = {"red", "blue", "green", "yellow", "black", "white", "brown", "sick"}
COMPARABLE = tuple(a for a in ADJECTIVES if a.en not in _UNCOMPARED)

MANNERS = {
    "q": (
        Fixed("slowly", "langsam"), Fixed("quickly", "schnell"), Fixed("carefully", "vorsichtig"),
    ),
    "l": (Fixed("loudly", "laut"), Fixed("quietly", "leise")),
    "p": (Fixed("patiently", "geduldig"),),
}  # fmt: skip
FREQUENCY = (
    Fixed("often", "oft"), Fixed("always", "immer"), Fixed("sometimes", "manchmal"),
    Fixed("never", "nie"), Fixed("usually", "meistens"), Fixed("rarely", "selten"),
)  # fmt: skip
ALREADY = Fixed("already", "schon")
NOW = Fixed("right now", "gerade")
# Sentence adverbs stand first; the flag says whether English puts a comma after them.
OPENERS = (
    (Fixed("perhaps", "vielleicht"), False),
    (Fixed("unfortunately", "leider"), True),
    (Fixed("of course", "natürlich"), True),
)
PAST_OPENERS = (
    (Fixed("suddenly", "plötzlich"), False),
    (Fixed("finally", "endlich"), False),
)
HOMEWARD = Fixed("home", "nach Hause")

_DAYS = {
    "Monday": "Montag", "Tuesday": "Dienstag", "Wednesday": "Mittwoch", "Thursday": "Donnerstag",
    "Friday": "Freitag", "Saturday": "Samstag", "Sunday": "Sonntag",
}  # fmt: skip
_MONTHS = {
    "January": "Januar", "March": "März", "May": "Mai", "July": "Juli", "September": "September",
    "October": "Oktober", "December": "Dezember",
}  # fmt: skip
NUMBERS = {
    "two": "zwei", "three": "drei", "four": "vier", "five": "fünf", "six": "sechs",
    "seven": "sieben", "eight": "acht", "nine": "neun", "ten": "zehn",
}  # fmt: skip
_UNITS = {"weeks": "Wochen", "months": "Monaten", "days": "Tagen", "years": "Jahren"}

_NEUTRAL = (
    *(Fixed(f"on|{en}", f"am|{de}") for en, de in _DAYS.items()),
    *(Fixed(f"at|{en}|o'clock", f"um|{de}|Uhr") for en, de in NUMBERS.items()),
    Fixed("in the|morning", "am|Morgen"),
    Fixed("in the|evening", "am|Abend"),
    Fixed("in the|afternoon", "am|Nachmittag"),
    Fixed("at|night", "in der|Nacht"),
    Fixed("today", "heute"),
)
_SEASONS = (
    Fixed("in|summer", "im|Sommer"),
    Fixed("in|winter", "im|Winter"),
    Fixed("in|spring", "im|Frühling"),
    Fixed("in|autumn", "im|Herbst"),
    *(Fixed(f"in|{en}", f"im|{de}") for en, de in _MONTHS.items()),
)
_EVERY = (
    Fixed("every|day", "jeden|Tag"),
    Fixed("every|week", "jede|Woche"),
    Fixed("every|year", "jedes|Jahr"),
    Fixed("every|month", "jeden|Monat"),
    *(Fixed(f"every|{en}", f"jeden|{de}") for en, de in _DAYS.items()),
)
_LAST = (
    Fixed("yesterday", "gestern"),
    Fixed("this|morning", "heute|Morgen"),
    Fixed("last|week", "letzte|Woche"),
    Fixed("last|year", "letztes|Jahr"),
    Fixed("last|month", "letzten|Monat"),
    *(Fixed(f"last|{en}", f"letzten|{de}") for en, de in _DAYS.items()),
)
_AGO = tuple((Fixed(n, dn), Fixed(u, du)) for n, dn in NUMBERS.items() for u, du in _UNITS.items())
_NEXT = (
    *(Fixed("tomorrow", "morgen"),) * 3,
    Fixed("soon", "bald"),
    Fixed("next|week", "nächste|Woche"),
    Fixed("next|year", "nächstes|Jahr"),
    Fixed("next|month", "nächsten|Monat"),
    *(Fixed(f"next|{en}", f"nächsten|{de}") for en, de in _DAYS.items()),
)
_IN = tuple(Fixed(f"in|{n.en}|{u.en}", f"in|{n.de}|{u.de}") for n, u in _AGO)
# "ago" follows in English and precedes in German, so it is put together by the grammar.
AGO = _AGO
PAST_TIMES = (_NEUTRAL, _LAST, _LAST, _SEASONS)
FUTURE_TIMES = (_NEUTRAL, _NEXT, _NEXT, _IN)
HABIT_TIMES = (_EVERY, _SEASONS)
COLORS = {"red", "blue", "green", "yellow", "black", "white", "brown"}
BEFORE_COLORS = {"old", "new", "big", "small", "beautiful", "expensive", "heavy"}
