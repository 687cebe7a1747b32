//! An encoder as a functional model: models in it for the embeddings and each block, so that paths are
//! `encoder/layer_0/attention/query/kernel`.

use regraft_layers::layers::{
    Add, AttentionInput, Borders, Cropping1D, Dense, Dropout, Embedding, Flatten,
    GlobalAveragePooling1D, Input, LayerNormalization, MultiHeadAttention, PositionEmbedding,
    Subtract, UnitNormalization,
};
use regraft_layers::{
    Activation, Functional, LayerExt, LayerOutput, LayerSpec, Model as Network, activations,
};

use super::config::BertConfig;
use super::{Bert, BertPooling};
use crate::Result;

/// A normalization over features.
fn norm(config: &BertConfig, name: &str) -> LayerSpec {
    LayerNormalization::new()
        .epsilon(config.epsilon)
        .named(name)
}

/// The two inputs that every part has: tokens or their features, and which of them count.
fn mask_input(f: &mut Functional, length: usize) -> Result<LayerOutput> {
    Ok(f.apply(Input::integers([length]).named("attention_mask"), &[])?)
}

fn dropped(f: &mut Functional, rate: f32, name: &str, x: LayerOutput) -> Result<LayerOutput> {
    match rate > 0.0 {
        true => Ok(f.apply(Dropout::new(rate).named(name), &[x])?),
        false => Ok(x),
    }
}

/// Token ids, and the kinds of tokens if they are an input, to features.
fn embeddings(config: &BertConfig, length: usize, types: bool) -> Result<Network> {
    let mut f = Functional::new();
    f.set_name("embeddings");
    let ids = f.apply(Input::integers([length]).named("input_ids"), &[])?;
    let words = Embedding::new(config.vocabulary, config.hidden).named("word_embeddings");
    let words = f.apply(words, &[ids])?;
    let positions = PositionEmbedding::new(config.positions).first(config.first_position);
    let positions = f.apply(positions.named("position_embeddings"), &[words])?;
    let (mut inputs, mut parts) = (vec![ids], vec![words, positions]);
    if config.token_types > 0 {
        let of = match types {
            true => {
                let of = f.apply(Input::integers([length]).named("token_type_ids"), &[])?;
                inputs.push(of);
                of
            }
            // All tokens are of the first text.
            false => f.apply(Subtract.named("first_text"), &[ids, ids])?,
        };
        let table =
            Embedding::new(config.token_types, config.hidden).named("token_type_embeddings");
        parts.push(f.apply(table, &[of])?);
    }
    let sum = f.apply(Add.named("sum"), &parts)?;
    let normal = f.apply(norm(config, "norm"), &[sum])?;
    let output = dropped(&mut f, config.dropout, "dropout", normal)?;
    Ok(f.model(&inputs, &[output])?)
}

/// One block: tokens look at each other, and then each is thought about alone.
fn block(config: &BertConfig, length: usize, number: usize) -> Result<Network> {
    let mut f = Functional::new();
    f.set_name(format!("layer_{number}"));
    let features = f.apply(Input::new([length, config.hidden]).named("features"), &[])?;
    let mask = mask_input(&mut f, length)?;
    let attention = MultiHeadAttention::new(config.heads, config.hidden / config.heads)
        .dropout(config.attention_dropout)
        .inputs([
            AttentionInput::Query,
            AttentionInput::Value,
            AttentionInput::ValueMask,
        ]);
    let seen = f.apply(attention.named("attention"), &[features, features, mask])?;
    let seen = dropped(&mut f, config.dropout, "attention_dropout", seen)?;
    let sum = f.apply(Add.named("attention_sum"), &[features, seen])?;
    let x = f.apply(norm(config, "attention_norm"), &[sum])?;
    let activation: Activation = match config.activation.as_str() {
        "gelu_tanh" => activations::Gelu { approximate: true }.into(),
        name => name.into(),
    };
    let wide = Dense::new(config.intermediate)
        .activation(activation)
        .named("intermediate");
    let wide = f.apply(wide, &[x])?;
    let narrow = f.apply(Dense::new(config.hidden).named("output"), &[wide])?;
    let narrow = dropped(&mut f, config.dropout, "output_dropout", narrow)?;
    let sum = f.apply(Add.named("output_sum"), &[x, narrow])?;
    let y = f.apply(norm(config, "output_norm"), &[sum])?;
    Ok(f.model(&[features, mask], &[y])?)
}

/// All blocks.
fn encoder(config: &BertConfig, length: usize) -> Result<Network> {
    let mut f = Functional::new();
    f.set_name("encoder");
    let features = f.apply(Input::new([length, config.hidden]).named("features"), &[])?;
    let mask = mask_input(&mut f, length)?;
    let mut x = features;
    for number in 0..config.layers {
        x = f.apply(block(config, length, number)?, &[x, mask])?;
    }
    Ok(f.model(&[features, mask], &[x])?)
}

/// The encoder with its pooling.
pub(super) fn network(config: &BertConfig, options: &Bert) -> Result<Network> {
    let length = options.length_for(config)?;
    let mut f = Functional::new();
    f.set_name("bert");
    let ids = f.apply(Input::integers([length]).named("input_ids"), &[])?;
    let mask = mask_input(&mut f, length)?;
    let mut inputs = vec![ids, mask];
    let types = options.token_types && config.token_types > 0;
    if types {
        inputs.push(f.apply(Input::integers([length]).named("token_type_ids"), &[])?);
    }
    let of_tokens = [&[ids], &inputs[2..]].concat();
    let x = f.apply(embeddings(config, length, types)?, &of_tokens)?;
    let x = f.apply(encoder(config, length)?, &[x, mask])?;
    let pooled = match options.pooling {
        BertPooling::Tokens => x,
        BertPooling::Mean => {
            let mean = GlobalAveragePooling1D::new().named("mean");
            f.apply_masked(mean, &[x], &[Some(mask)])?
        }
        BertPooling::First | BertPooling::Pooler => {
            let first = f.apply(
                Cropping1D::new(Borders([[0, length - 1]])).named("first_token"),
                &[x],
            )?;
            let first = f.apply(Flatten::new().named("first"), &[first])?;
            match options.pooling {
                BertPooling::Pooler => {
                    let pooler = Dense::new(config.hidden).activation("tanh").named("pooler");
                    f.apply(pooler, &[first])?
                }
                _ => first,
            }
        }
    };
    let output = match options.normalize {
        true => f.apply(UnitNormalization::new().named("normalize"), &[pooled])?,
        false => pooled,
    };
    Ok(f.model(&inputs, &[output])?)
}
