//! What becomes of texts, good and bad.

use proptest::prelude::*;
use regraft_data::{Dataset, Part, Rows};
use regraft_tensor::kernels::random::Key;
use regraft_text::{Error, Texts, Tokenizer};

const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##b\nthe\ncafe\n.\n好";

fn tokenizer() -> Tokenizer {
    Tokenizer::from_vocabulary(VOCABULARY.as_bytes(), true).unwrap()
}

#[test]
fn words_are_taken_apart_as_bert_does() {
    let encoded = tokenizer().encode("The CAFÉ abb. 好x [MASK]").unwrap();
    let expected = [
        "[CLS]", "the", "cafe", "a", "##b", "##b", ".", "好", "[UNK]", "[MASK]", "[SEP]",
    ];
    assert_eq!(encoded.tokens, expected);
    assert_eq!(encoded.ids, [2, 8, 9, 5, 7, 7, 10, 11, 1, 4, 3]);
    // In bytes of the text as it was given: É has two.
    assert_eq!(
        &"The CAFÉ abb. 好x [MASK]"[encoded.offsets[2].clone()],
        "CAFÉ"
    );
    assert_eq!(
        tokenizer().decode(&encoded.ids).unwrap(),
        "the cafe a ##b ##b . 好"
    );
    let pair = tokenizer().encode_pair("a", "b").unwrap();
    assert_eq!(
        (pair.ids, pair.type_ids),
        (vec![2, 5, 3, 6, 3], vec![0, 0, 0, 1, 1])
    );
    let cased = Tokenizer::from_vocabulary(VOCABULARY.as_bytes(), false).unwrap();
    assert_eq!(
        cased.encode("The").unwrap().tokens,
        ["[CLS]", "[UNK]", "[SEP]"]
    );
}

#[test]
fn an_empty_and_an_endless_text_have_tokens() {
    let tokenizer = tokenizer();
    assert_eq!(tokenizer.encode("").unwrap().ids, [2, 3]);
    assert_eq!(tokenizer.encode(" \n\t\0\u{feff}").unwrap().ids, [2, 3]);
    let endless = "x".repeat(1_000_000);
    assert_eq!(tokenizer.encode(&endless).unwrap().ids, [2, 1, 3]);
    let words = "a ".repeat(500_000);
    let cut = tokenizer
        .clone()
        .max_length(16)
        .unwrap()
        .encode(&words)
        .unwrap();
    assert_eq!((cut.len(), cut.truncated, cut.ids[15]), (16, true, 3));
    let texts = Texts::new(&tokenizer, &["", "a", &words], 5).unwrap();
    assert_eq!(texts.ids(0), [2, 3, 0, 0, 0]);
    assert_eq!(texts.truncated(), [2]);
    assert_eq!(
        Texts::fitted(&tokenizer, &["a b", ""], 64)
            .unwrap()
            .length(),
        8
    );
    assert_eq!(Texts::fitted::<&str>(&tokenizer, &[], 64).unwrap().len(), 0);
}

#[test]
fn bad_input_is_an_error_with_its_place() {
    let tokenizer = tokenizer();
    let said = |error: Error| error.to_string();
    let bytes = said(tokenizer.encode_bytes(b"a caf\xe9").unwrap_err());
    assert!(
        bytes.contains("UTF-8") && bytes.contains("byte 5"),
        "{bytes}"
    );
    let id = said(tokenizer.decode(&[2, 5, 12, 3]).unwrap_err());
    assert!(id.contains("token 2") && id.contains("below 12"), "{id}");
    let short = said(tokenizer.clone().max_length(2).unwrap_err());
    assert!(short.contains("at least 3"), "{short}");
    let labels = said(
        Texts::new(&tokenizer, &["a"], 8)
            .unwrap()
            .labels([0, 1])
            .unwrap_err(),
    );
    assert!(labels.contains("1 labels"), "{labels}");
    for (wrong, what) in [("{}", "JSON"), ("", "JSON"), ("{\"model\": 3}", "JSON")] {
        let error = said(Tokenizer::from_json(wrong.as_bytes()).unwrap_err());
        assert!(error.contains(what), "{error}");
    }
    let lacks = said(Tokenizer::from_vocabulary(b"[UNK]\n[CLS]\na", true).unwrap_err());
    assert!(lacks.contains("[SEP]"), "{lacks}");
    let folder = tempfile::tempdir().unwrap();
    let none = said(Tokenizer::open(folder.path()).unwrap_err());
    assert!(none.contains("neither"), "{none}");
    std::fs::write(folder.path().join("vocab.txt"), VOCABULARY).unwrap();
    std::fs::write(
        folder.path().join("tokenizer_config.json"),
        "{\"do_lower_case\": false}",
    )
    .unwrap();
    let cased = Tokenizer::open(folder.path()).unwrap();
    assert_eq!(cased.encode("The").unwrap().ids, [2, 1, 3]);
}

#[test]
fn the_same_text_has_the_same_content_in_another_set() {
    let tokenizer = tokenizer();
    let (first, second) = (
        Texts::new(&tokenizer, &["a b", "the"], 6).unwrap(),
        Texts::new(&tokenizer, &["the", "b a"], 6).unwrap(),
    );
    let content = |texts: &Texts, at: usize| texts.content(at).unwrap().unwrap();
    assert_eq!(content(&first, 1), content(&second, 0));
    assert_ne!(content(&first, 0), content(&second, 1));
    let longer = Texts::new(&tokenizer, &["the"], 7).unwrap();
    assert_ne!(content(&longer, 0), content(&second, 0));
    let cased = Tokenizer::from_vocabulary(VOCABULARY.as_bytes(), false).unwrap();
    assert_ne!(
        content(&Texts::new(&cased, &["the"], 6).unwrap(), 0),
        content(&second, 0)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the text, rows have the length, offsets are places of the text, and a sample is what it is alone.
    #[test]
    fn any_text_becomes_rows(texts in prop::collection::vec(".{0,40}", 1..5), length in 3..20usize) {
        let tokenizer = tokenizer();
        let set = Texts::new(&tokenizer, &texts, length).unwrap().type_ids();
        let mut rows = Rows::new(&set.inputs(), &set.targets(), false);
        rows.begin(texts.len());
        let all: Vec<usize> = (0..texts.len()).collect();
        set.fill(&all, Key::new(0, 0), &mut rows).unwrap();
        let masks = rows.integers(Part::Input(1)).unwrap().to_vec();
        for (at, text) in texts.iter().enumerate() {
            let alone = tokenizer.encode(text).unwrap();
            for range in &alone.offsets {
                prop_assert!(text.get(range.clone()).is_some());
            }
            let mask = &masks[at * length..][..length];
            let count = mask.iter().sum::<i32>() as usize;
            prop_assert_eq!(count, alone.len().min(length));
            prop_assert_eq!(set.counts()[at], count);
            prop_assert!(mask.is_sorted_by(|a, b| a >= b));
            prop_assert!(set.ids(at)[count..].iter().all(|id| *id == 0));
        }
    }
}
