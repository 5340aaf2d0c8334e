from __future__ import annotations

import pytest

from monitor.text.language import detect_language


@pytest.mark.parametrize(
    ("text", "stated", "expected"),
    [
        ("The bank raised its rates in a move that was expected", None, "en"),
        ("Apple Q3 EPS beats", None, "en"),
        ("Apple Q3 EPS beats", "de", "de"),
        ("Die Bank hat den Gewinn für das Jahr gesenkt und sucht einen Käufer", "en", "de"),
        ("La banque centrale a relevé les taux dans une décision qui pèse sur les marchés", "en", "fr"),
        ("El banco de España eleva la previsión de crecimiento para el año", "en", "es"),
        ("ECB-Chefin sieht Inflation auf dem Rückzug", "de", "de"),
        ("央行宣布下调存款准备金率", None, "zh"),
        ("摩根大通（JPMorgan Chase）推出数字媒体业务", "en", "zh"),
        ("日銀がマイナス金利を解除", "en", "ja"),
        ("삼성전자 3분기 영업이익 감소", "en", "ko"),
        ("Центральный банк повысил ставку", "en", "ru"),
        ("Société Générale names CEO", "en", "en"),
        ("The Fed holds rates in a move that was expected by the markets", "zh", "en"),
        ("Fed holds rates", "zh", "zh"),
        ("", None, "en"),
        ("12.5 % …", "fr", "fr"),
    ],
)
def test_the_language_of_a_headline(text: str, stated: str | None, expected: str) -> None:
    assert detect_language(text, stated) == expected
