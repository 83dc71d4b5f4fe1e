"""Makes families/*.json: small tokenizers with the published settings of each model family, and what the
library that published tokenizers are made with makes of some texts.

    pip install tokenizers==0.23.* sentencepiece==0.2.*
    python families.py

The vocabularies are trained on the texts below; the settings (normalizer, pre-tokenizer, decoder,
post-processor, flags of added tokens) are those that the families publish.
"""

import io
import json
import random
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

OUT = Path(__file__).parent / "families"

LINES = [
    "Once upon a time there was a quiet village by the sea, and the people of the village were happy.",
    "The quick brown fox jumps over the lazy dog; it's 1234567 times they'll say that we've seen it.",
    "In 2025 there were 10,000 of them (3.14159 per 100), e.g. x = 42; y += 0xff; z <<= 2;",
    "def main(args):\n\tfor i in range(100):\n\t\tif i % 15 == 0:\n\t\t\tprint('fizz', end=\"\")\n\n\n",
    "    return  values[0]    # four spaces\n        else:\n            pass\r\n\r\n",
    "La forêt était très belle, où les élèves déjà naïfs mangeaient des crêpes à Noël. Grüße für Öl!",
    "中文字符和漢字仮名交じり文。今日は良い天気ですね。안녕하세요 세계, 한글 문장입니다.",
    "Привет, мир! Как дела? שלום עולם، مرحبا بالعالم كيف الحال. สวัสดีชาวโลก नमस्ते दुनिया क्षत्रिय",
    "👩‍👩‍👧‍👦 👍🏽 🇵🇪 ❤️ ½ ² ³ ٣٤٥ Ⅷ ① e\u0301 n\u0303 \u0915\u094d\u0937 ﬁ Ω Å",
    "<div class=\"a\">&amp; [link](http://example.com/?q=1&r=2) `code` ~~ ^^ || $5 + 3 > 2</div>",
]
CORPUS = LINES * 8 + ["hello hello world world aa aaa aaaa aaaaaaaa " * 4] * 4

TEXTS = [
    "", " ", "  ", "   ", "\n", "\n\n", "\n\n\n\n\n", "\t", "\r\n", "\r\n\r\n  \t x",
    "a", " a", "  a", "   a", "a ", "a  ", "a   ", "Hello", " Hello world ", "hello  world   hello    a",
    "trailing \n", "\n leading", " \n \n  a", "a\n\n\nb", "a\r\nb\rc\n", "tab\there\t\tand\t\t\tthere",
    "it's they'll WE'VE I'M 'S 'ſ don''t", "1", "12", "123", "1234", "12345678901234567890", "3.14159 and 1,000,000",
    "a1b22c333d4444", "½ ²³ ٣٤٥ Ⅷ ①②", "x² + y³ = ¼ für Übung", "!!!???...", "a!b?c.", "$5 + 3 > 2 ~~ ^^ || `x` <= >=", "((([[[{{{}}}]]])))",
    "def f(x):\n\treturn  x**2  # ok\n\n\nclass A:\n    pass\n", "        deep\n            deeper\n",
    "La forêt, où les élèves déjà naïfs", "e\u0301le\u0300ve n\u0303 A\u030a \u212b \u2126 \u1e9b\u0323 \u0344", "\u0301a\u0301\u0323 a\u0323\u0301 q\u0307\u0323",
    "\uac00 \u1100\u1161 \u1100\u1161\u11a8 한글", "中文字符和漢字", "今日は良い天気ですね。", "안녕하세요 세계", "字\u3000字\u3000\u3000字",
    "Привет, мир!", "שלום עולם", "مرحبا بالعالم", "สวัสดีชาวโลก", "नमस्ते दुनिया क्षत्रिय", "नमस्ते\u0901\u093c", "𝕳𝖊𝖑𝖑𝖔 𐍈 🀄",
    "👩‍👩‍👧‍👦", "👍🏽👍🏿", "🇵🇪🇵", "❤️ ❤", "\u200b\ufeff\u00ad\u2060", "a\u00a0b\u2003c\u2028d\u2029e\u0085f", "nul\0l and \x1b[31m esc \x7f",
    "\ufffd \ufffe \ue000 \U000f0000 \U0010fffd", "▁ ▁▁ a▁b ▁▁▁▁", "<0x41> <0x0A> <0xZZ>", "<unused0> <pad> <mask>",
    "http://example.com/?q=1&r=2", "snake_case camelCase SCREAMING_CASE kebab-case", "zzzzqqqqxxxx", "ﬁ ﬂ ﷺ", "Ω Ω Å Å",
]
LONG = [
    ("a", 100_000), ("q", 100_000), (" ", 5_000), ("\n", 3_000), ("中", 20_000), ("👍", 3_000), ("1", 10_000), ("ab ", 5_000), ("!", 10_000), ("é", 4_000),
]
ODD = ["{0}", "a{0}b", " {0} ", "{0}{0}", "\n{0}\n", "a {0}x{0} b", "x{0}", "{0} x", "<{0}>", "e\u0301{0}\u0301"]

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
QWEN35 = QWEN2.replace(r"]?\p{L}+", r"]?[\p{L}\p{M}]+").replace(r"[^\s\p{L}\p{N}]+", r"[^\s\p{L}\p{M}\p{N}]+")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"


def special(name):
    return AddedToken(name, special=True, normalized=False)


def plain(name, normalized=False):
    return AddedToken(name, special=False, normalized=normalized)


def byte_level(steps, nfc=False, ignore_merges=False, size=520):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def split(regex):
    return pre_tokenizers.Split(Regex(regex), "isolated")


def no_regex():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def llama3():
    tokenizer = byte_level([split(LLAMA3), no_regex()], ignore_merges=True)
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer.add_tokens([special(name) for name in names])
    bos = names[0]
    template = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    # A token that no merges make: only `ignore_merges` finds it.
    model = json.loads(tokenizer.to_str())
    vocab = model["model"]["vocab"]
    vocab["zzzzqqqqxxxx"] = len(vocab)
    for token in model["added_tokens"]:
        token["id"] += 1
    ids = model["post_processor"]["processors"][1]["special_tokens"][bos]["ids"]
    ids[0] += 1
    return Tokenizer.from_str(json.dumps(model)), {"bos_token": bos, "eos_token": names[4]}


def qwen(regex):
    tokenizer = byte_level([split(regex), no_regex()], nfc=True)
    tokenizer.add_tokens([special(name) for name in ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]])
    tokenizer.add_tokens([plain(name) for name in ["<think>", "</think>", "<tool_call>"]])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer, {"eos_token": "<|im_end|>", "add_bos_token": False}


def falcon(steps):
    tokenizer = byte_level([
        pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        *steps,
    ])
    tokenizer.add_tokens([special(name) for name in ["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>"]])
    return tokenizer, {"eos_token": "<|endoftext|>"}


def neox():
    tokenizer = byte_level([pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)], nfc=True)
    tokenizer.add_tokens([special("<|endoftext|>"), special("<|padding|>")])
    tokenizer.add_tokens([plain(" " * count, normalized=True) for count in range(24, 1, -1)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}


def default():
    steps = [split(r"[\p{P}\$\+<=>\^~\|]+"), split(GPT2), split(r"\p{N}+"), split(r"[0-9][0-9][0-9]"), no_regex()]
    tokenizer = byte_level(steps)
    tokenizer.add_tokens([special("<|endoftext|>")])
    return tokenizer, {"eos_token": "<|endoftext|>"}


def sentencepieces(prefix, size, **more):
    """Pieces, scores and the trained model."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for text in CORPUS for line in text.split("\n")), model_writer=out,
        vocab_size=size, model_type="bpe", byte_fallback=True, split_digits=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, add_dummy_prefix=prefix, character_coverage=0.98,
        allow_whitespace_only_pieces=True, minloglevel=2, num_threads=1, **more)
    model = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    pieces = [(model.id_to_piece(id), model.get_score(id)) for id in range(model.vocab_size())]
    return pieces, model


def merges_of(pieces, controls):
    """All ways to put a piece together, in the order of scores, as the library's converter lists them."""
    ids = {piece: id for id, (piece, _) in enumerate(pieces)}
    merges = []
    for piece, score in pieces:
        if piece in controls or len(piece) < 2:
            continue
        local = []
        for middle in range(1, len(piece)):
            left, right = piece[:middle], piece[middle:]
            if left in ids and right in ids:
                local.append((left, right, score))
        merges.extend(sorted(local, key=lambda merge: (ids[merge[0]], ids[merge[1]])))
    merges.sort(key=lambda merge: merge[2], reverse=True)
    return [(left, right) for left, right, _ in merges]


def of_pieces(pieces, controls, normalizer, pre_tokenizer, strips):
    vocab = {piece: id for id, (piece, _) in enumerate(pieces)}
    bpe = models.BPE(vocab, merges_of(pieces, controls), unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = Tokenizer(bpe)
    if normalizer:
        tokenizer.normalizer = normalizers.Sequence(normalizer) if len(normalizer) > 1 else normalizer[0]
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if strips:
        steps.append(decoders.Strip(" ", 1, 0))
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


def llama(metaspace):
    pieces, _ = sentencepieces(True, 560)
    controls = ["<unk>", "<s>", "</s>"]
    if metaspace:
        tokenizer = of_pieces(
            pieces, controls, [], pre_tokenizers.Metaspace("▁", prepend_scheme=metaspace, split=False), True)
    else:
        normalizer = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        tokenizer = of_pieces(pieces, controls, normalizer, None, True)
    tokenizer.add_tokens([special(name) for name in controls])
    template = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])
    tokenizer.post_processor = template
    return tokenizer, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def gemma():
    spaces = ["▁" * count for count in range(2, 16)]
    lines = ["\n" * count for count in range(1, 12)]
    controls = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
    pieces, _ = sentencepieces(
        False, 600, pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>",
        control_symbols=controls[4:], user_defined_symbols=["<unused0>", *lines, *spaces])
    tokenizer = of_pieces(
        pieces, controls, [normalizers.Replace(" ", "▁")], pre_tokenizers.Split(" ", "merged_with_previous"), False)
    tokenizer.add_tokens([special(name) for name in controls])
    tokenizer.add_tokens([plain(name) for name in ["<unused0>", *lines[1:], *spaces]])
    template = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", tokenizer.token_to_id("<bos>"))])
    tokenizer.post_processor = template
    return tokenizer, {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}


def listed(ids):
    """Ids; many of them as their number and FNV-1a of them as 32-bit words."""
    if len(ids) > 300:
        hash = 0xCBF29CE484222325
        for id in ids:
            hash = (hash ^ id) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
        return {"count": len(ids), "fnv": f"{hash:016x}"}
    return ids


def cases_of(tokenizer, texts):
    cases = []
    for text, times in texts:
        whole = text * times
        case = {"text": text} if times == 1 else {"text": text, "times": times}
        for name, as_text in [("plain", True), ("parsed", False)]:
            tokenizer.encode_special_tokens = as_text
            ids = listed(tokenizer.encode(whole, add_special_tokens=False).ids)
            if name == "plain" or ids != case["plain"]:
                case[name] = ids
        tokenizer.encode_special_tokens = True
        ids = tokenizer.encode(whole, add_special_tokens=False).ids
        decoded = tokenizer.decode(ids, skip_special_tokens=True)
        if decoded != whole:
            case["decoded"] = decoded
        tokenizer.encode_special_tokens = False
        cases.append(case)
    return cases


def random_text(source):
    parts = [" ", "  ", "\n", "\t", ".", "'s", "12", "é", "e\u0301", "字", "क", "\u094d", "👍", "<", ">", "▁"]
    parts += [word for line in LINES for word in line.split(" ")]
    return "".join(source.choice(parts) + source.choice(["", " "]) for _ in range(source.randrange(1, 12)))


def family(name, made):
    tokenizer, config = made
    names = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.content.strip()]
    # Which token an unknown one is, is not asked for.
    names = [name for name in names if name not in ("<unk>", "▁") and "▁" not in name][:8]
    source = random.Random(name)
    texts = [(text, 1) for text in TEXTS] + LONG
    texts += [(odd.format(name), 1) for name in names for odd in ODD]
    texts += [(random_text(source), 1) for _ in range(60)]
    # Broken characters made of byte tokens are left out: of such a run the library shows nothing.
    shown = [id for id in range(tokenizer.get_vocab_size())
             if tokenizer.id_to_token(id) not in names and not tokenizer.id_to_token(id).startswith("<0x")]
    lists = [[source.choice(shown) for _ in range(source.randrange(1, 8))] for _ in range(40)]
    file = {
        "about": "Made by families.py with the library tokenizers.",
        "config": config,
        "tokenizer": json.loads(tokenizer.to_str()),
        "document": tokenizer.encode("Hello world").ids,
        "cases": cases_of(tokenizer, texts),
        "decoded": [[ids, tokenizer.decode(ids, skip_special_tokens=True)] for ids in lists],
    }
    write(name, file)


def write(name, file):
    # One line a case keeps differences readable.
    parts = []
    for key, value in file.items():
        text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
        if key in ("cases", "decoded"):
            lines = [json.dumps(one, ensure_ascii=True, separators=(",", ":")) for one in value]
            text = "[\n" + ",\n".join(lines) + "\n]"
        parts.append(f"{json.dumps(key)}:{text}")
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_text("{\n" + ",\n".join(parts) + "\n}\n")


def scores(name, prefix, **more):
    """A vocabulary with scores and no merges, and what sentencepiece itself makes of the texts."""
    pieces, model = sentencepieces(prefix, 560, **more)
    types = []
    for id, (piece, _) in enumerate(pieces):
        kind = 1
        for number, is_it in [(2, model.is_unknown), (3, model.is_control), (5, model.is_unused), (6, model.is_byte)]:
            if is_it(id):
                kind = number
        if piece in more.get("user_defined_symbols", []):
            kind = 4
        types.append(kind)
    source = random.Random(name)
    # It has one way to write a space.
    texts = [text for text in TEXTS if "\0" not in text] + [random_text(source) for _ in range(60)]
    cases = []
    for text, times in [(text, 1) for text in texts] + LONG:
        case = {"text": text} if times == 1 else {"text": text, "times": times}
        case["plain"] = listed(model.encode(text * times))
        decoded = model.decode(model.encode(text * times))
        if decoded != text * times:
            case["decoded"] = decoded
        cases.append(case)
    write(name, {
        "about": "Made by families.py with the library sentencepiece.",
        "tokens": [piece for piece, _ in pieces],
        "scores": [score for _, score in pieces],
        "types": types,
        "cases": cases,
    })


if __name__ == "__main__":
    family("llama3", llama3())
    family("qwen2", qwen(QWEN2))
    family("qwen35", qwen(QWEN35))
    family("falcon_e", falcon([pre_tokenizers.Digits(individual_digits=True)]))
    family("falcon", falcon([pre_tokenizers.Digits(individual_digits=False), split("[0-9][0-9][0-9]")]))
    family("neox", neox())
    family("default", default())
    family("llama", llama(None))
    family("llama_first", llama("first"))
    family("llama_always", llama("always"))
    family("gemma", gemma())
    scores("scores", True)
    scores("scores_defined", False, user_defined_symbols=["<think>", "\n\n", "▁▁", "▁▁▁", "▁▁▁▁"])
