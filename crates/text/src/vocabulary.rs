//! BERT's tokenizer from a list of its tokens: words, then pieces of words, the longest first.

use regraft_tensor::Detail;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Model, Tokenizer};

use crate::{Error, Result};

/// The tokens that BERT's vocabularies have for themselves.
const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// The tokenizer of `vocab.txt`, a token a line.
pub(crate) fn word_piece(bytes: &[u8], lower_case: bool) -> Result<Tokenizer> {
    let wrong = |received: String| {
        let expected = "a vocabulary, a token a line, with [UNK], [CLS] and [SEP]";
        Error::Format(Detail::new("", expected, received))
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| wrong(format!("no UTF-8 at byte {}", error.valid_up_to())))?;
    let vocabulary =
        WordPiece::read_bytes(text.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    let model = WordPiece::builder()
        .vocab(vocabulary)
        .unk_token("[UNK]".into())
        .build();
    let model = model.map_err(|error| wrong(error.to_string()))?;
    let id = |token: &str| {
        let id = model.token_to_id(token);
        id.map(|id| (token.to_string(), id))
            .ok_or_else(|| wrong(format!("none with {token}")))
    };
    id("[UNK]")?;
    let around = BertProcessing::new(id("[SEP]")?, id("[CLS]")?);
    let special: Vec<AddedToken> = SPECIAL
        .iter()
        .filter(|token| model.token_to_id(token).is_some())
        .map(|token| AddedToken::from(*token, true))
        .collect();
    let mut tokenizer = Tokenizer::new(model);
    let failed = |error: tokenizers::Error| wrong(error.to_string());
    let normalizer = BertNormalizer::new(true, true, None, lower_case);
    tokenizer
        .with_normalizer(Some(normalizer))
        .map_err(failed)?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(around));
    tokenizer.add_special_tokens(special).map_err(failed)?;
    Ok(tokenizer)
}
