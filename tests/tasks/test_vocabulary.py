"""Words to numbers and back, as they were written."""

from __future__ import annotations

import json

import pytest

from crnn.errors import DataError
from crnn.tasks._texts.vocabulary import END, UNKNOWN, Unit, Vocabulary, plain_words

TEXTS = [
    "L'eau (tiède) coule.",
    "vingt-et-un",
    '"Ja," sagte er - leise ...',
    "2024-01-03, 12:30!",
    "a_b  c",
    "Một người đàn ông .",
    "क्या हाल है?",
    "It's 40 % of 3.5?!",
]


def learned(texts: list[str], unit: Unit = "word", least: int = 1, lower: bool = False, most: int = 1000) -> Vocabulary:
    return Vocabulary.learn(texts, unit=unit, lower=lower, least=least, most=most)


@pytest.mark.parametrize("unit", ["word", "letter", "subword"])
def test_each_text_comes_back_as_it_was(unit: Unit) -> None:
    if unit == "subword":
        pytest.importorskip("tokenizers")
    known = learned(TEXTS, unit)
    for text in TEXTS:
        numbers = known.encode(text)
        assert UNKNOWN not in numbers and END not in numbers
        assert known.decode(numbers) == " ".join(text.split())
    again = Vocabulary.restore(json.loads(json.dumps(known.learned())), unit=unit, lower=False)
    assert [again.encode(text) for text in TEXTS] == [known.encode(text) for text in TEXTS]
    assert len(again) == len(known) == len(known.words) + 2


def test_a_word_is_one_word_whatever_signs_stand_beside_it() -> None:
    known = learned(["l'eau, l'eau. (eau) eau-vive"])
    assert known.split("(eau).") == ["(￭", "eau", "￭)", "￭."]
    assert [word for word in known.words if word[0].isalnum()] == ["eau", "l", "vive"]
    assert known.word(known.number["￭'￭"]) == "'"


def test_words_that_are_rare_are_unknown() -> None:
    known = learned(["a b", "a b", "a c"], least=2)
    assert known.words == ("a", "b")
    assert known.encode("a c") == [2, UNKNOWN] and known.decode([2, UNKNOWN]) == "a <unknown>"
    assert learned(["a b", "a b", "a c"], most=1).words == ("a",)
    with pytest.raises(DataError, match=r"the most frequent stands 3 times.* task\.least"):
        learned(["a b", "a b", "a c"], least=5)


def test_small_letters() -> None:
    known = learned(["Ein HAUS"], lower=True)
    assert known.words == ("ein", "haus") and known.decode(known.encode("EIN Haus")) == "ein haus"


def test_new_words_stand_behind_the_known_ones() -> None:
    known = learned(["b a"]).extend(learned(["c a"]))
    assert known.words == ("a", "b", "c")


def test_subwords_are_learned_from_the_texts() -> None:
    pytest.importorskip("tokenizers")
    known = learned(["laufen laufend gelaufen kaufen kaufend gekauft"] * 5, "subword", most=30)
    assert len(known.words) <= 30
    assert known.decode(known.encode("gelaufend")) == "gelaufend"
    assert len(known.encode("gelaufend")) < 9


def test_words_that_are_compared() -> None:
    assert plain_words("Ein Haus, ein HAUS.") == ["ein", "haus", "ein", "haus"]
    assert plain_words("?!") == ["?", "!"]
    assert plain_words("हाल है") == ["हाल", "है"]
