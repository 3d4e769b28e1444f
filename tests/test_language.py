"""Which corpora are called other than English: every foreign one here, and no English one, however short its texts."""

import pandas as pd
import pytest

import embedstore
from embedstore.core.language import other_language
from embedstore.demo import TEST, TRAIN
from embedstore.labels.label_set import LabelSet

FOREIGN = {
    "German": [
        "Der Kocher ist nach zwei Wochen kaputt gegangen und niemand antwortet auf meine Nachrichten.",
        "Ich bin sehr zufrieden, die Lieferung war schnell und das Gerät ist leise.",
        "Leider passt die Größe nicht, aber der Umtausch hat gut geklappt.",
        "Für den Preis kann man nicht mehr erwarten, es sieht auch schön aus.",
        "Wir haben es als Geschenk gekauft und sind enttäuscht.",
    ],
    "French": [
        "La cafetière est arrivée cassée et le vendeur ne répond pas à mes messages.",
        "Je suis très content de cet achat, la livraison était rapide.",
        "Le produit est joli mais la qualité n'est pas au rendez-vous.",
        "Nous avons attendu trois semaines pour une réponse du service client.",
        "C'est exactement ce que je cherchais, parfait pour le jardin.",
    ],
    "Spanish": [
        "El hervidor dejó de funcionar a los dos días y nadie contesta.",
        "Estoy muy contento con la compra, llegó antes de lo previsto.",
        "La calidad no es mala, pero por este precio esperaba más.",
        "No lo recomiendo porque se rompe con mucha facilidad.",
        "Es un regalo perfecto para los niños y está bien hecho.",
    ],
    "Portuguese": [
        "A chaleira deixou de funcionar em dois dias e ninguém responde.",
        "Estou muito contente com a compra, chegou antes do previsto.",
        "O produto não é mau, mas por este preço esperava mais.",
        "Não recomendo porque se parte com muita facilidade.",
        "É um presente perfeito para as crianças e também é bonito.",
    ],
    "Italian": [
        "Il bollitore ha smesso di funzionare dopo due giorni e nessuno risponde.",
        "Sono molto contento dell'acquisto, è arrivato prima del previsto.",
        "Il prodotto non è male, ma per questo prezzo mi aspettavo di più.",
        "Non lo consiglio perché si rompe con molta facilità.",
        "È un regalo perfetto anche per i bambini che amano il disegno.",
    ],
    "Dutch": [
        "De waterkoker was na twee dagen kapot en niemand geeft antwoord.",
        "Ik ben heel tevreden met deze aankoop, het pakket kwam snel.",
        "Het product is niet slecht, maar voor deze prijs had ik meer verwacht.",
        "Een mooi cadeau voor mijn zus, die er ook blij mee is.",
        "Helaas zijn de knoppen te klein en dat werkt niet fijn.",
    ],
    "Polish": [
        "Czajnik przestał działać po dwóch dniach i nikt nie odpowiada.",
        "Jestem bardzo zadowolona z zakupu, przesyłka przyszła szybko.",
        "Produkt nie jest zły, ale za tę cenę oczekiwałam więcej.",
        "Nie polecam, bo łatwo się psuje i jest tylko z plastiku.",
        "To idealny prezent dla dzieci, tak jak w opisie.",
    ],
    "Turkish": [
        "Su ısıtıcısı iki gün sonra bozuldu ve kimse cevap vermiyor.",
        "Bu alışverişten çok memnunum, kargo da hızlı geldi.",
        "Ürün kötü değil ama bu fiyata daha iyisini beklerdim.",
        "Çocuklar için güzel bir hediye, resimdeki gibi geldi.",
        "Tavsiye etmiyorum çünkü kolayca kırılıyor.",
    ],
    "Swedish": [
        "Vattenkokaren slutade fungera efter två dagar och ingen svarar.",
        "Jag är mycket nöjd med köpet, det kom snabbt.",
        "Produkten är inte dålig men för det priset väntade jag mig mer.",
        "En fin present till barnen som tycker om att rita.",
    ],
    "Vietnamese": [
        "Ấm đun nước hỏng sau hai ngày và không ai trả lời.",
        "Tôi rất hài lòng với sản phẩm này, giao hàng nhanh.",
        "Chất lượng không tệ nhưng với giá này tôi mong đợi nhiều hơn.",
        "Một món quà tuyệt vời cho trẻ em, giống như hình.",
    ],
    "Russian": ["Чайник сломался через два дня, и никто не отвечает.", "Очень довольна покупкой, пришло быстро."],
    "Chinese": ["水壶用了两天就坏了，没有人回复我的消息。", "非常满意，物流很快，质量也不错。"],
    "Japanese": ["二日で壊れてしまい、誰も返事をくれません。", "とても満足しています。配送も早かったです。"],
    "Arabic": ["توقفت الغلاية عن العمل بعد يومين ولا أحد يرد.", "أنا سعيدة جدا بهذا الشراء، وصل بسرعة."],
    "Hindi": ["केतली दो दिन में खराब हो गई और कोई जवाब नहीं देता।", "मैं इस खरीद से बहुत खुश हूँ।"],
    "Korean": ["주전자가 이틀 만에 고장 났고 아무도 답하지 않아요.", "배송도 빠르고 품질도 아주 만족합니다."],
}
ENGLISH = {
    "titles": [
        "Wireless Optical Mouse 2.4 GHz USB Receiver, Black",
        "Café de Paris La Petite Espresso Cups Set, 6 pcs",
        "L'Oréal Paris Crème de Jour Visage 50 ml",
        "Nestlé Dolce Gusto Café au Lait, 16 Capsules",
        "Stainless Steel Kettle 1.7 L Rapid Boil",
        "Para 550 Cord 100 ft Olive Drab",
        "Ben & Jerry's Cookie Dough Pint",
        "Levi's Men's 501 Jeans 32W 34L",
    ],
    "tickets": ["printer offline", "pw reset pls", "VPN down again", "no audio in Teams", "cant login", "mail bounce"]
    * 6,
    "code": [
        "for (int i = 0; i < n; ++i) sum += a[i];",
        "SELECT name, COUNT(*) FROM users GROUP BY name",
        "def main(): return os.path.join(root, 'data')",
        "ERROR 2026-01-31 NullPointerException at com.acme.Main",
        "git commit -m 'fix typo' && git push origin main",
    ],
    "names": [
        "María de la Cruz Hernández",
        "Ludwig van der Berg",
        "João da Silva dos Santos",
        "Karl-Heinz Müller",
        "Jean-François du Pont",
        "Maria del Carmen y Ruiz",
        "Ivan Petrov",
        "Giovanni di Stefano",
    ]
    * 3,
    "reviews": [
        "Died in a week. Awful.",
        "I love it! My kids use it every day.",
        "Not what I ordered, and the seller is no help.",
        "ok for the price",
        "Très chic, as they say, but the straps are cheap.",
        "The déjà vu of a broken hinge: third one in a year.",
    ]
    * 2,
    "emoji": ["👍👍👍", "great!!! 😍😍", "5 stars ⭐⭐⭐⭐⭐", "meh 😐"] * 10,
    "numbers": ["12 345", "4711-0815", "2026-01-31"] * 20,
    "nothing": [""],
}
NOT_LATIN = ("Russian", "Chinese", "Japanese", "Arabic", "Hindi", "Korean")


@pytest.mark.parametrize("language", FOREIGN)
def test_a_corpus_of_another_language_is_known(language):
    expected = "not in Latin letters" if language in NOT_LATIN else "not in English"
    assert other_language(FOREIGN[language]) == expected


@pytest.mark.parametrize("kind", ENGLISH)
def test_nothing_is_said_of_english_or_of_what_is_no_language(kind):
    assert other_language(ENGLISH[kind]) == ""


@pytest.mark.parametrize("path", [TRAIN, TEST], ids=lambda path: path.name)
@pytest.mark.parametrize("column", ["review", "title", "product"])
def test_nothing_is_said_of_any_column_of_the_shipped_reviews(path, column):
    assert other_language(pd.read_csv(path)[column].dropna()) == ""


@pytest.mark.parametrize("language", ["German", "Spanish", "Polish", "Russian"])
def test_what_most_texts_are_decides(language):
    reviews = ENGLISH["reviews"]
    assert other_language(FOREIGN[language][:1] + reviews) == ""
    assert other_language(FOREIGN[language] * 8 + reviews[:1])


def test_encode_warns_once_before_the_default_model_takes_another_language(cli, tmp_path):
    table = tmp_path / "texts.csv"
    pd.DataFrame({"t": FOREIGN["German"]}).to_csv(table, index=False)
    first = cli("encode", "texts", table, "--text", "t")
    assert first.returncode == 0, first.stderr
    assert first.stderr.startswith("embedstore: the texts are mostly not in English, and the default model all-MiniLM-")
    assert " -m sentence-transformers/" in first.stderr
    pd.DataFrame({"t": FOREIGN["French"]}).to_csv(table, index=False)
    assert "mostly" not in cli("encode", "texts", table, "--text", "t").stderr


def test_encode_does_not_warn_of_english_or_of_a_model_that_was_chosen(cli, tmp_path):
    table = tmp_path / "texts.csv"
    pd.DataFrame({"t": FOREIGN["German"]}).to_csv(table, index=False)
    assert cli("encode", "chosen", table, "--text", "t", "-m", "all-MiniLM-L6-v2").stderr == ""
    pd.DataFrame({"t": ENGLISH["reviews"]}).to_csv(table, index=False)
    assert cli("encode", "english", table, "--text", "t").stderr == ""


def test_english_descriptions_of_a_shipped_set_are_noted_where_texts_are_in_another_language(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"t": text} for text in FOREIGN["German"]], text="t", corpus="other")
    store.add([{"t": text} for text in ENGLISH["reviews"]], text="t", corpus="english")
    store.encode()

    def noted(labels, corpus, **options):
        return [one for one in store.tag(labels, corpus=corpus, **options).notes if "descriptions of a shipped" in one]

    polarity = LabelSet.shipped("polarity")
    (note,) = noted(polarity, "other")
    assert note.startswith("the texts are mostly not in English, and the labels have the English descriptions")
    assert noted(["Negative", "Positive"], "other", method="best") == [note], "bare names get the descriptions"
    assert noted(["Negative", "Positive"], "other") == []
    assert noted({"Negative": "schlecht", "Positive": "gut"}, "other") == []
    assert noted(polarity, "english") == []
    assert noted(polarity, "other", multi=True) == [note]
