"""Texts that tokenizers and batches trip over, drawn from the seed of the run."""

import random
from collections.abc import Sequence

from support.seeds import random_of

# fmt: off
SCRIPTS = [
    "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "àéîõüßøåæœçñğışžčřłđ", "αβγδεζηθικλμνξοπρστυφχψω",
    "абвгдеёжзийклмнопрстуфхцчшщъыьэюя", "אבגדהוזחטיכלמנסעפצקרשת", "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "अआइईउऊएऐओऔकखगघचछजझटठडढतथदधनपफबभमयरलवशषसह", "กขคงจฉชซญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ",
    "一二三人大小中国上下文本向量检索模型查询",
    "あいうえおかきくけこさしすせそアイウエオカキクケコ", "가나다라마바사아자차카타파하한국어검색", "ກຂຄງຈສຊຍດຕຖທນບປ",
    "ⴰⴱⴳⴷⴹⴻⴼⴽⵀⵃⵄⵅⵇⵉⵊⵍⵎⵏⵓⵔ",
]
PIECES = [
    " ", "  ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u3000", "\u200b", "\u200d", "\ufeff", "\u2028", "\x00", "\x07",
    "\x1b[31m", "\x7f", "\u0301", "\u0308\u0323", "e\u0301", "\u1112\u1161\u11ab", "ﬁ", "Å", "😀",
    "👩\u200d👩\u200d👧\u200d👦", "🏳️\u200d🌈", "🇩🇪",
    "1", "42", "3.14159", "٣", "Ⅷ", "½", ":", "::", ":(", '"', "'s", "’ll", "...", "?!",
    "<", ">", "<|", "|>", "_", "/", "\\",
    "http://a.b/c?d=e", "def f(x):\n\treturn x", "</div>", "$\\alpha$", "𝒳", "\U0010ffff", "\ufffd", "﷽",
    "Query:", "<Query>:", "<Document>:", "Instruct:", "yes", "no", "<Instruct>: ",
]
LOOKALIKES = [
    "<|im_end|", "|im_end|>", "<|im_ end|>", "< |im_end|>", "<think", "think>", "</ think>", "<THINK>", "<|IM_END|>",
    "<|endoftext", "<|im\u200b_end|>", "＜think＞", "<tool_call", "<|extra_0|>", "<s>", "[CLS]", "<pad>",
]
ADDED = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>",
    "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>",
    "<think>", "</think>",
]
# fmt: on
EDGE_CASES = ["", " ", "\n", "\t\n ", "a", ":", ": x", " x", "\nx", "x\n", "x ", "(", ":(", "…", "\u0301", "😀", "\x00"]


def random_text(generator: random.Random, added: Sequence[str] = ()) -> str:
    """A few pieces of any kind; `added` tokens are mixed in where given."""
    parts: list[str] = []
    for _ in range(generator.choice((1, 2, 3, 5, 8, 20))):
        kind = generator.random()
        if kind < 0.55:
            script = generator.choice(SCRIPTS)
            parts.append("".join(generator.choice(script) for _ in range(generator.randint(1, 9))))
        elif kind < 0.85:
            parts.append(generator.choice(PIECES))
        elif kind < 0.93:
            parts.append(generator.choice(LOOKALIKES))
        else:
            parts.append(chr(generator.choice((generator.randint(0, 0xD7FF), generator.randint(0xE000, 0x10FFFF)))))
    for _ in range(generator.randint(1, 3) if added else 0):
        parts.insert(generator.randint(0, len(parts)), generator.choice(added))
    return generator.choice(("", "", " ")).join(parts)


def random_texts(count: int, added: Sequence[str] = (), seed: int = 0) -> list[str]:
    """`count` texts; without `added`, none contains an added token of Qwen3."""
    drawn = random_of(f"texts {seed}")
    texts = [random_text(drawn, added) for _ in range(count)]
    return texts if added else [text for text in texts if not any(token in text for token in ADDED)]
