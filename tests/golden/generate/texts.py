"""Texts for the tokenizers and models of group F, by variant."""

STRINGS = {
    "visible": [
        "Hello, world!",
        "  leading and trailing  ",
        "tabs\tand\nnewlines\r\nand\n\n\nmore",
        "",
        " ",
        "\n",
        "naïve café résumé — “quotes” … ‘x’",
        "cafe\u0301 (combining) vs café",
        "😀👩\u200d👩\u200d👧\u200d👦🏳️\u200d🌈 emoji 👍🏽",
        "中文分词测试，你好世界。",
        "日本語とカタカナ ｶﾀｶﾅ １２３",
        "العربية עברית हिन्दी",
        "1234567890 3.14159 1,000,000 2024-01-17",
        "don't I'll we've they're it's 'twas",
        "<|im_start|>user\nhi<|im_end|> text <|endoftext|>",
        "[CLS] literal [SEP] and [MASK] ## ##ing",
        "supercalifragilisticexpialidocious antidisestablishmentarianism",
        "def f(x):\n    return {'a': x**2, \"b\": [1, 2]}  # ok",
        "zero\u200bwidth\xa0nbsp\ufeffbom\xadsoft \u2028sep",
        "ALL CAPS MixedCase snake_case kebab-case http://a.b/c?d=e&f#g user@x.org",
    ],
    "other": [
        "Good evening; who's there?",
        "\ttab first, space last ",
        "one\r\ntwo\n\n three\n\n\n\nfour",
        "",
        "   ",
        "\r\n",
        "Ångström Łódź Žižek œuvre ﬁne ﬂow ½ ²",
        "n\u0303 o\u0308 versus ñ ö, ẞ and ß, İ and ı",
        "🇳🇿 flags 🤷🏿\u200d♀️ and ❤️ and 1️⃣",
        "機器學習很有趣！今天是星期五？",
        "한국어 문장입니다. ﾊﾝｶｸ Ⅳ ㍿",
        "ไทย ქართული Ελληνικά Русский",
        "0007 -12.50% 6.022e23 12:34:56 ½",
        "can't shouldn't o'clock rock'n'roll y'all'd've",
        "a<|im_end|>b<|im_start|> <|endoftext|><|endoftext|>",
        "[UNK] [PAD][CLS] [ SEP ] #hash ##",
        "pneumonoultramicroscopicsilicovolcanoconiosis floccinaucinihilipilification",
        "for (int i = 0; i < n; ++i) { a[i] += \"\\n\"; } // done",
        "thin\u2009space line\u2029paragraph \x07bell \ufffd",
        "camelCase PascalCase x86_64 v1.2.3-rc.4 user@host:~/dir$",
    ],
}
"""Twenty texts; the seventeenth is one of very long words, the thirteenth one of numbers."""

PAIRS = [(0, 12), (1, 13), (2, 14), (3, 15), (4, 16), (5, 17)]
"""Places of `STRINGS` that are encoded together."""
TRUNCATED = [(12, None), (17, 12), (0, 13)]
"""Places of `STRINGS` that are cut, alone or together."""

CONVERSATIONS = {
    "visible": [
        [("user", "What is 2+2?"), ("assistant", "4.")],
        [
            ("system", "You answer in one word."), ("user", "Capital of France?"), ("assistant", "Paris"),
            ("user", "And of 日本?"), ("assistant", "Tokyo 🗼"),
        ],
        [
            ("user", "  spaces\nand lines  "), ("assistant", ""), ("user", "Say <|im_end|> literally."),
            ("assistant", "No.\n"),
        ],
    ],
    "other": [
        [("user", "Name a prime."), ("assistant", "Seven.")],
        [
            ("system", ""), ("user", "¿Qué hora es?"), ("assistant", "Las tres."), ("user", "\n"),
            ("assistant", " …\n\n"),
        ],
        [
            ("user", "List:\n- a\n- b"), ("assistant", "1. a\n2. b"), ("user", "<|im_start|>system"),
            ("assistant", "👋🏽"),
        ],
    ],
}

SENTENCES = {
    "visible": [
        "A man is playing a guitar.",
        "Someone plays music on an instrument.",
        "The stock market fell sharply today.",
        "Die Katze schläft auf dem Sofa.",
        "ok",
    ],
    "other": [
        "Two dogs run along the beach.",
        "Animals are playing by the sea.",
        "The committee postponed its decision until the spring.",
        "El tren llega tarde otra vez.",
        "no",
    ],
}

PROSE = {
    "visible": (
        "The ferry was late, so the passengers sat on their cases along the quay and watched the gulls quarrel over a "
        "crust. An old man with a fiddle began to play, first softly, then as if the whole town had come to listen. "
        "Nobody knew the tune, but a child clapped, and then two sailors, and by the time the boat came round the "
        "point half the queue was dancing. The captain leaned over the rail and shouted that he would not wait. He "
        "waited a quarter of an hour. When the last case was aboard the fiddler stayed behind on the stones, counted "
        "the coins in his hat, and bought himself a hot dinner at the inn, where the cook asked him to play it again "
        "from the beginning."
    ),
    "other": (
        "To repair a puncture, take the wheel off and let out what air is left. Lift one side of the tyre over the rim "
        "with two levers, pull the tube out, and pump it up a little. Hold it close to your cheek or under water until "
        "you find the hole, then mark it with chalk. Roughen the rubber around the mark, spread a thin film of glue, "
        "and leave it until it is no longer shiny. Press the patch down hard and dust it with chalk. Before the tube "
        "goes back, feel along the inside of the tyre for the thorn or the splinter of glass that made the hole, "
        "because it will make another one if it stays where it is. Start and finish at the valve, and use your thumbs "
        "rather than the levers."
    ),
}
"""At least 160 tokens."""
