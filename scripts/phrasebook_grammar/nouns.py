"""The nouns, names and cities of the phrasebook, grouped by what they mean."""

from typing import NamedTuple

from . import english


class Noun(NamedTuple):
    """An English noun and its German counterpart."""

    en: str
    en_plural: str
    gender: str
    de: str
    de_plural: str
    weak: bool  # the German n-declension: der Junge, den Jungen
    mass: bool  # has no plural and no indefinite article
    kind: str


class Place(NamedTuple):
    """A place and the prepositions that say where (location) and where to (direction)."""

    noun: Noun
    en_at: str
    de_at: str
    en_to: str
    de_to: str  # followed by the accusative, except "zu"


# English[/plural] gender German plural; "!" marks the n-declension, no plural a mass noun.
_NOUNS = {
    "person": """
        man/men m Mann Männer; woman/women f Frau Frauen; child/children n Kind Kinder;
        boy m Junge Jungen!; girl n Mädchen Mädchen; teacher m Lehrer Lehrer; doctor m Arzt Ärzte;
        friend m Freund Freunde; neighbor m Nachbar Nachbarn!; brother m Bruder Brüder;
        sister f Schwester Schwestern; mother f Mutter Mütter; father m Vater Väter;
        son m Sohn Söhne; daughter f Tochter Töchter; uncle m Onkel Onkel; aunt f Tante Tanten;
        grandmother f Großmutter Großmütter; grandfather m Großvater Großväter;
        student m Student Studenten!; baker m Bäcker Bäcker; farmer m Bauer Bauern!;
        guest m Gast Gäste; colleague m Kollege Kollegen!;
        policeman/policemen m Polizist Polizisten!;
        singer m Sänger Sänger; painter m Maler Maler; waiter m Kellner Kellner;
        nurse f Krankenschwester Krankenschwestern; lawyer m Anwalt Anwälte; king m König Könige;
        queen f Königin Königinnen""",
    "animal": """
        dog m Hund Hunde; cat f Katze Katzen; horse n Pferd Pferde; cow f Kuh Kühe;
        bird m Vogel Vögel; mouse/mice f Maus Mäuse; rabbit n Kaninchen Kaninchen;
        duck f Ente Enten;
        pig n Schwein Schweine; goat f Ziege Ziegen; bear m Bär Bären!""",
    "food": """
        apple m Apfel Äpfel; egg n Ei Eier; cake m Kuchen Kuchen;
        potato/potatoes f Kartoffel Kartoffeln;
        tomato/tomatoes f Tomate Tomaten; banana f Banane Bananen; pear f Birne Birnen;
        roll n Brötchen Brötchen; sausage f Wurst Würste; bread n Brot; cheese m Käse; rice m Reis;
        soup f Suppe; meat n Fleisch; butter f Butter; chocolate f Schokolade; fish m Fisch;
        honey m Honig""",
    "drink": """
        coffee m Kaffee; tea m Tee; milk f Milch; water n Wasser; beer n Bier; wine m Wein;
        juice m Saft""",
    "text": """
        book n Buch Bücher; letter m Brief Briefe; newspaper f Zeitung Zeitungen;
        story f Geschichte Geschichten; poem n Gedicht Gedichte; novel m Roman Romane;
        report m Bericht Berichte; article m Artikel Artikel""",
    "vehicle": """
        car n Auto Autos; bicycle n Fahrrad Fahrräder; boat n Boot Boote;
        motorcycle n Motorrad Motorräder; truck m Lastwagen Lastwagen""",
    "transport": """
        train m Zug Züge; bus m Bus Busse; ship n Schiff Schiffe; plane n Flugzeug Flugzeuge;
        tram f Straßenbahn Straßenbahnen""",
    "clothes": """
        shirt n Hemd Hemden; coat m Mantel Mäntel; dress n Kleid Kleider; hat m Hut Hüte;
        jacket f Jacke Jacken; skirt m Rock Röcke; sweater m Pullover Pullover;
        scarf/scarves m Schal Schals; shoe m Schuh Schuhe; glove m Handschuh Handschuhe""",
    "furniture": """
        table m Tisch Tische; chair m Stuhl Stühle; bed n Bett Betten; sofa n Sofa Sofas;
        shelf/shelves n Regal Regale; bench f Bank Bänke; cupboard m Schrank Schränke;
        desk m Schreibtisch Schreibtische""",
    "thing": """
        key m Schlüssel Schlüssel; cup f Tasse Tassen; bag f Tasche Taschen;
        knife/knives n Messer Messer;
        umbrella m Regenschirm Regenschirme; bottle f Flasche Flaschen; glass n Glas Gläser;
        plate m Teller Teller; ball m Ball Bälle; ring m Ring Ringe; clock f Uhr Uhren;
        picture n Bild Bilder; camera f Kamera Kameras; map f Landkarte Landkarten;
        box f Kiste Kisten;
        ticket f Fahrkarte Fahrkarten; flower f Blume Blumen; gift n Geschenk Geschenke;
        pen m Kugelschreiber Kugelschreiber; spoon m Löffel Löffel; candle f Kerze Kerzen;
        doll f Puppe Puppen; basket m Korb Körbe; suitcase m Koffer Koffer""",
    "device": """
        lamp f Lampe Lampen; radio n Radio Radios; television m Fernseher Fernseher;
        computer m Computer Computer; oven m Ofen Öfen; machine f Maschine Maschinen""",
    "door": "door f Tür Türen; window n Fenster Fenster; gate n Tor Tore",
    "idea": """
        question f Frage Fragen; answer f Antwort Antworten; plan m Plan Pläne;
        problem n Problem Probleme; mistake m Fehler Fehler; secret n Geheimnis Geheimnisse;
        rule f Regel Regeln; joke m Witz Witze; word n Wort Wörter""",
    "event": """
        concert n Konzert Konzerte; film m Film Filme; party f Feier Feiern; trip f Reise Reisen;
        wedding f Hochzeit Hochzeiten; song n Lied Lieder""",
}

_PLACES = """
    garden m Garten Gärten in in into in; kitchen f Küche Küchen in in into in;
    room n Zimmer Zimmer in in into in; house n Haus Häuser in in into in;
    forest m Wald Wälder in in into in; cellar m Keller Keller in in into in;
    park m Park Parks in in to in; city f Stadt Städte in in to in;
    village n Dorf Dörfer in in to in;
    school f Schule Schulen at in to in; hotel n Hotel Hotels in in to in;
    museum n Museum Museen in in to in; restaurant n Restaurant Restaurants in in to in;
    church f Kirche Kirchen in in to in; theater n Theater Theater in in to in;
    hospital n Krankenhaus Krankenhäuser in in to in; office n Büro Büros in in to in;
    library f Bibliothek Bibliotheken in in to in; castle n Schloss Schlösser in in to zu;
    station m Bahnhof Bahnhöfe at an to zu; airport m Flughafen Flughäfen at an to zu;
    market m Markt Märkte at auf to auf; lake m See Seen at an to an;
    beach m Strand Strände on an to an;
    river m Fluss Flüsse at an to an; bridge f Brücke Brücken on auf to zu;
    farm m Bauernhof Bauernhöfe on auf to auf; balcony m Balkon Balkone on auf onto auf"""

FEMALE_NAMES = ("Anna", "Maria", "Julia", "Laura", "Lena", "Sophie", "Emma", "Clara")
MALE_NAMES = ("Peter", "Paul", "Martin", "Karl", "Tom", "David", "Simon", "Oskar")
CITIES = {
    "Berlin": "Berlin", "Hamburg": "Hamburg", "Munich": "München", "Vienna": "Wien",
    "Cologne": "Köln", "Rome": "Rom", "London": "London", "Zurich": "Zürich",
}  # fmt: skip


def _noun(fields: list[str], kind: str) -> Noun:
    en, _, en_plural = fields[0].partition("/")
    plural = fields[3] if len(fields) > 3 else ""
    return Noun(
        en=en,
        en_plural=en_plural or english.plural(en),
        gender=fields[1],
        de=fields[2],
        de_plural=plural.rstrip("!"),
        weak=plural.endswith("!"),
        mass=not plural,
        kind=kind,
    )


NOUNS: dict[str, tuple[Noun, ...]] = {
    kind: tuple(_noun(row.split(), kind) for row in rows.split(";"))
    for kind, rows in _NOUNS.items()
}
PLACES = tuple(
    Place(_noun(fields[:4], "place"), *fields[4:])
    for fields in (row.split() for row in _PLACES.split(";"))
)
NOUNS["place"] = tuple(place.noun for place in PLACES)
