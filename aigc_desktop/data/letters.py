"""How likely a text is in the languages that an encoding is used for: a guess from few letters.

Each letter beyond ASCII costs nats: little when it is common in its script, much when it is rare there, most when it is
none of it. Chinese, Korean and Japanese letters are two bytes, others one; so the sums compare whole readings of the
same bytes. Shares are rounded from published counts of letters; only their order matters.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping

_SIMPLIFIED = (
    "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都"
    "然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些与高意进把法此实回"
    "二理美点月明其种声全工己话儿者向情部正名定女问力机给等几很业最间新什打便位因重被走电四第门相次东政海口使教西再平真听世气"
    "信北少关并内加化由却代军产入先山五太水万市眼体别处总才场师书比住员九笑性通目华报立马命张活难神数件安表原车白应路期叫死常"
    "提感金何更反合放做系计或司利受光王果亲界及今京务制解各任至清物台象记边共风战干接它许八特觉望直服毛林题建南度统色字请交爱让"
    "认算论百吃义科怎元社术结六功指思非流每青管夫连远资队跟带花快条院变联言权往展该领传近留红治决周保达办运武半候七必城父强步完"
    "深区即求品士转量空甚众技轻程告江语英基派满式李息写呢识极令黄德收钱党倒未持取设始版双历越史商千片容研像找友孩站广改议形委早"
    "房音火际则首单据导影失拿网香似斯专石若兵弟谁校读志飞观争究包组造落视济喜离虽坏兴切集选图型训练文件数据型存户码查页保示错误"
    "输标签类率云春秋夜雨鸟江城酒客归故独愁阿巴尔亚罗维斯克拉兰纳坦布塔库伦瓦汗朗岛鲁萨洲省县市区镇村街店"
)
_TRADITIONAL = (
    "這來國個說們為時會著過學對裡後麼沒還發當無開見經頭動兩長樣現將與進實點種聲話兒問機給幾業間電門東氣關並內產萬體別處總場師"
    "書員筆報馬張難數應車親務記邊風戰許覺題統請愛讓認論義術結連遠資隊帶條變聯權領傳紅決達辦運強區轉輕語滿寫識極黃錢黨設雙歷商"
    "廣議際則單據導網專誰讀飛觀爭組濟離雖壞興選圖訓練檔儲戶碼頁錯誤輸標籤類雲鳥歸獨螢幕產業機器視窗資訊程式設定滑鼠啟閉亞蘭羅爾鎊島韓薩維納諾聯賓縣區鎮灣廳園醫藥錄臺"
)
_KOREAN = (
    "이다는을의에하고가지기사도로한리자어나대인시아서스라정수부일전상장보제해주구있것은들그원비성어들니조게경관동공계유문선과습"
    "을를위국오신여마트선용음우회안미소치모세타방식과실물합면영행개체현요분생진려되내외재무와만연드음알교학심중반저적할번같된없"
    "말때년월명당단력론므크르레프파포터너더러네데두노바버본불산설술않양였열왔왜운으입잘잡점접좋직집차찾처천초최추출크태통표품필"
    "하학함항행향형호화환활황회후택색삭작편록록글결값갱검격견결넣니달됨뒤디림맞매머목및범변복뷰블새션송숫액업역완웹존줄창춤킬킵탭텍팅"
)
_COMMON_SHARE, _REST_SHARE = 0.7, 0.24


def _hanzi(common: str, first: str, level_one: int, rest: int) -> Callable[[str], float]:
    """Return the nats of a letter in Chinese; those of GB2312 and Big5 have their common half before the other."""
    chosen = frozenset(common)
    usual = math.log(len(chosen) / _COMMON_SHARE)

    def nats(c: str) -> float:
        if c in chosen:
            return usual
        if not "\u3400" <= c <= "\u9fff":
            return _symbol(c)
        try:
            lead = c.encode(first)[0]
        except UnicodeEncodeError:
            return 9.5 if c in _TRADITIONAL else 13.0  # in none of the two halves: seldom written so
        return math.log(3500 / _REST_SHARE) if level_one <= lead < rest else math.log(3000 / 0.02)

    return nats


def _symbol(c: str) -> float:
    """Return the nats of a mark between letters that are two bytes."""
    if c in "，。、：；？！（）《》“”‘’「」『』・ー…　—～·【】":
        return 5.5
    return 8.5 if "\uff01" <= c <= "\uff5e" or "\u2010" <= c <= "\u2fff" else 14.0


def _korean(c: str) -> float:
    if c in _KOREAN_LETTERS:
        return math.log(len(_KOREAN_LETTERS) / 0.75)
    if not "\uac00" <= c <= "\ud7a3":
        return 11.0 if "\u4e00" <= c <= "\u9fff" else _symbol(c)
    try:
        c.encode("euc_kr")
    except UnicodeEncodeError:
        return 14.0  # one of the 8,822 syllables that hardly any word has
    return math.log(2150 / 0.24)


def _japanese(c: str) -> float:
    if "\u3041" <= c <= "\u3096" or "\u30a1" <= c <= "\u30fc":
        return math.log(140 / 0.7)
    if "\uff61" <= c <= "\uff9f":  # half as wide, one byte each in Shift-JIS: what any bytes look like
        return 7.5
    if not "\u4e00" <= c <= "\u9fff":
        return _symbol(c)
    try:
        lead = c.encode("euc_jp")[0]
    except UnicodeEncodeError:
        return 14.0
    return math.log(2965 / 0.3) if lead < 0xD0 else 13.0


def _alphabet(common: str, letters: str) -> Callable[[str], float]:
    """Return the nats of a letter in an alphabet of its own: one of the common, of the others, or a capital."""
    cost = {c: math.log(len(letters) / 0.2) for c in letters} | {c: math.log(len(common) / 0.7) for c in common}
    cost |= {c.upper(): nats + 2.3 for c, nats in cost.items() if c.upper() != c and len(c.upper()) == 1}
    cost |= dict.fromkeys("«»–—“”„’…№\xa0", 6.0)
    return lambda c: cost.get(c, 9.5)


def _latin(usual: str, rare: str) -> Callable[[str], float]:
    """Return the nats of a letter beyond ASCII in languages that write Latin with these small ones."""
    cost = {c: math.log(len(usual) / 0.8) for c in usual} | {c: math.log(len(rare) / 0.12) for c in rare}
    cost |= {c.upper(): nats + 2.0 for c, nats in cost.items() if c.isalpha() and len(c.upper()) == 1}
    cost |= dict.fromkeys("«»–—“”„‚‘’…€°£§©®·\xa0¡¿ªº½×", 5.5)
    return lambda c: cost.get(c, 9.5)


_KOREAN_LETTERS = frozenset(_KOREAN)
_CYRILLIC = _alphabet("оеаинтсрвлкмдпяуі", "ыьгзбчйхжшюцщэфъёїєґў")
_GREEK = _alphabet("αοιετνσηυρπκςμλάόίέή", "ωγδχθφβξζψύώϊϋΐΰ")
_ARABIC = _alphabet("اليمنرتبوةعدسفهكقأح", "جشطصخضذثئءظغزإآؤى،؟")
_BESIDE_ASCII, _BETWEEN_LATIN = 5.0, 3.5
_LANGUAGES: Mapping[str, tuple[Callable[[str], float], float]] = {
    "gb18030": (_hanzi(_SIMPLIFIED, "gb2312", 0xB0, 0xD8), -4.0),
    "big5hkscs": (_hanzi(_SIMPLIFIED + _TRADITIONAL, "big5", 0xA4, 0xC7), 2.0),
    "cp949": (_korean, 2.0), "cp932": (_japanese, 2.0), "euc_jp": (_japanese, 3.0),
    "cp1251": (_CYRILLIC, 2.0), "koi8_r": (_CYRILLIC, 5.0), "cp1253": (_GREEK, 4.0),
    "cp1256": (_ARABIC, 6.0),
    "cp1252": (_latin("éèàäöüßñçóíáúãêôå", "ëâæìîïòõøœùûýÿðþ"), 1.0),
    "cp1254": (_latin("çğıöşüâî", "éèàäßñíóáúãêôå"), 4.0),
    "cp1250": (_latin("áéíóčěřšžýůúłąężśćńöü", "źďťňőűäßâăîşţ"), 3.0),
}  # fmt: skip
"""Codec -> the nats of a letter, and what the codec itself costs: the rarer, the more."""
_LATIN = {"cp1250", "cp1252", "cp1254"}


def readings(sample: bytes) -> list[tuple[float, str]]:
    """Return (nats, codec) of the encodings the bytes may be in, the likeliest first; none when no reading makes sense.

    Where even the best one consists of letters that hardly any text has, statistics may know another encoding.
    """
    found = []
    for codec, (nats, rare) in _LANGUAGES.items():
        try:
            text = sample.decode(codec)
        except UnicodeDecodeError:
            continue
        cost = _cost(text, nats, codec in _LATIN)
        found.append((rare + cost, codec, cost < _nonsense(codec) * sum(not c.isascii() for c in text)))
    found.sort()
    makes_sense = bool(found) and (found[0][2] or found[0][1] == "gb18030")  # there are many rare letters in Chinese
    return [(cost, codec) for cost, codec, _sense in found] if makes_sense else []


def _nonsense(codec: str) -> float:
    """Return from how many nats a letter on a reading makes no sense; letters of two bytes have many to choose from."""
    return 9.3 if codec in ("gb18030", "big5hkscs", "cp949", "cp932", "euc_jp") else 6.5


def _cost(text: str, nats: Callable[[str], float], latin: bool) -> float:
    """Return the nats of a text: of its letters beyond ASCII, and of neighbours, which are ASCII in Latin only."""
    total = 0.0
    for before, c, after in zip(" " + text, text, text[1:] + " ", strict=False):
        if c.isascii():
            continue
        total += nats(c)
        if unicodedata.category(c)[0] != "L":
            continue
        beside = sum(one.isascii() and one.isalpha() for one in (before, after))
        if latin:
            total += _BETWEEN_LATIN * ((not before.isascii()) + (beside == 0))
        else:
            total += _BESIDE_ASCII * beside
    return total
