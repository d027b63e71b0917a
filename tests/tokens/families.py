"""Small tokenizers of every family, saved as model folders."""

import random

CORPUS = [
    "the plot is thin but the acting is superb and the ending was not bad at all",
    "I never thought that a phone this cheap could be so good: 7/10, would buy again!",
    "soup cold, waiter rude, wine excellent; we left before the dessert came",
    "an app that crashes twice a day is worse than no app",
] * 3
PIECES = [
    *"the plot is thin acting superb not bad wonderful worst a I zzz 7/10".split(),
    *["[SEP]", "[CLS]", "[PAD]", "<s>", "</s>", "<pad>", "<sep>", "<cls>", "<|endoftext|>"],
    *[
        "",
        "\n",
        "\t",
        "\u00a0",
        "!?",
        "naïve",
        "Ünïcödé",
        "电影很好看",
        "😀",
        "e\u0301",
        "\u200b",
        "\x00",
        "'s",
        "İ",
        "ﬁ",
    ],
]


def random_texts(seed, count=60):
    """Texts of every length, among them the empty one and one far beyond any budget."""
    chance = random.Random(seed)
    texts = ["", " ", "superb", "[SEP]", "the [SEP] plot [CLS] is </s> thin", "worst " * 500]
    while len(texts) < count:
        joint = chance.choice([" ", " ", "", "  "])
        texts.append(joint.join(chance.choice(PIECES) for _ in range(chance.randrange(30))))
    return texts


def wordpiece(folder):
    """As BERT's; its file carries truncation and padding to 16."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator([*CORPUS, "[ ]"], trainers.WordPieceTrainer(vocab_size=120, special_tokens=special))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16)
    BertTokenizerFast(tokenizer_object=tokenizer).save_pretrained(str(folder))


def _byte_level(special):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def roberta(folder):
    """Byte-level BPE; pairs are `<s> A </s></s> B </s>`."""
    from tokenizers import processors
    from transformers import RobertaTokenizerFast

    tokenizer = _byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    RobertaTokenizerFast(tokenizer_object=tokenizer).save_pretrained(str(folder))


def gpt2(folder):
    """Byte-level BPE without special tokens around a text, and without a padding token."""
    from tokenizers import processors
    from transformers import GPT2TokenizerFast

    tokenizer = _byte_level(["<|endoftext|>"])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    GPT2TokenizerFast(tokenizer_object=tokenizer).save_pretrained(str(folder))


def xlnet(folder):
    """Unigram; `A <sep> <cls>` with token types, padded on the left."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import XLNetTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"]
    trainer = trainers.UnigramTrainer(vocab_size=90, special_tokens=special, unk_token="<unk>")
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A:0 <sep>:0 <cls>:2",
        pair="$A:0 <sep>:0 $B:1 <sep>:1 <cls>:2",
        special_tokens=[("<sep>", 4), ("<cls>", 3)],
    )
    XLNetTokenizerFast(tokenizer_object=tokenizer).save_pretrained(str(folder))


FAMILIES = {"wordpiece": wordpiece, "roberta": roberta, "gpt2": gpt2, "xlnet": xlnet}
