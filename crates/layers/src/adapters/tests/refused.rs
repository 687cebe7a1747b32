//! What cannot be done is said, and changes nothing.

use super::{network, stack};
use crate::adapters::{Adapter, Bias, Form, Lora, Vera};
use crate::layers::{Conv2D, Embedding};
use crate::{Error, Input, LayerExt, Selector, Sequential, layers};

#[test]
fn what_cannot_be_is_said_and_changes_nothing() {
    let mut model = network();
    let digest = (format!("{:?}", model.weights()), model.count_parameters());
    let grouped = || stack(&[6, 6, 4], Conv2D::new(6, 3).groups(2_usize));
    for (error, parts) in [
        (
            model.adapt("hiden", Lora::rank(2)),
            &["hiden", "\"hidden\""][..],
        ),
        (
            model.adapt("norm", Lora::rank(2)),
            &["norm", "multiply", "Conv2D"],
        ),
        (
            model.adapt("hidden", Lora::rank(0)),
            &["hidden/kernel", "rank", "at least 1"],
        ),
        (
            model.adapt("hidden", Lora::rank(2).rank_of("nothing", 3)),
            &["nothing"],
        ),
        (
            model.adapt("hidden", Lora::rank(2).dropout(1.0)),
            &["dropout"],
        ),
        (
            model.adapt("hidden", Lora::rank(2).modules_to_save("haed")),
            &["haed", "\"head\""],
        ),
        (
            model.adapt("hidden", Lora::rank(2).dora().lora_bias()),
            &["DoRA"],
        ),
        (model.add_adapter("a/b", "hidden", Lora::rank(2)), &["a/b"]),
        (model.set_adapter("default"), &["default"]),
        (model.merge_adapter(), &["active adapter"]),
        (model.unmerge_adapter(), &["merged"]),
        (model.delete_adapter("default"), &["default"]),
        (
            grouped().adapt("it", Lora::rank(3)),
            &["it/kernel", "2 groups", "3", "rank_of"],
        ),
        (grouped().adapt("it", Lora::rank(2).dora()), &["groups"]),
    ] {
        let text = error.unwrap_err().to_string();
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert_eq!(
        digest,
        (format!("{:?}", model.weights()), model.count_parameters())
    );
    model
        .adapt("hidden", Lora::rank(2).modules_to_save("head"))
        .unwrap();
    assert!(matches!(
        model.adapt("hidden", Lora::rank(2)),
        Err(Error::Name(_))
    ));
    model
        .add_adapter("other", "conv", Lora::rank(2).modules_to_save("head"))
        .unwrap();
    let text = model
        .set_adapters(&["default", "other"])
        .unwrap_err()
        .to_string();
    assert!(text.contains("head/bias"), "{text}");
    assert!(
        model
            .set_adapter("othr")
            .unwrap_err()
            .to_string()
            .contains("\"other\"")
    );
    model.merge_adapter().unwrap();
    for error in [
        model.set_adapter("other"),
        model.delete_adapter("other"),
        model.merge_adapter(),
        model.add_adapter("third", "conv", Lora::rank(2)),
    ] {
        assert!(error.unwrap_err().to_string().contains("unmerge_adapter"));
    }
}

#[test]
fn what_a_file_may_say_is_checked() {
    let mut model = network();
    model
        .add_adapter("a", "hidden", Lora::rank(2).bias(Bias::LoraOnly))
        .unwrap();
    let state = model.adapter_state("a").unwrap();
    let form = |alpha, dropout| Form::LowRank {
        alpha,
        rslora: false,
        dropout,
    };
    for (form, part) in [
        (form(f32::NAN, 0.0), "alpha"),
        (form(f32::INFINITY, 0.0), "alpha"),
        (form(1.0, 1.0), "dropout"),
        (form(1.0, -0.5), "dropout"),
        (form(1.0, f32::NAN), "dropout"),
    ] {
        let mut wrong = state.clone();
        wrong.layers[0].updates[0].form = form;
        let text = model.insert_adapter("b", wrong).unwrap_err().to_string();
        assert!(
            text.contains(part) && text.contains("hidden/kernel"),
            "{text}"
        );
    }
    let mut twice = state.clone();
    let copy = twice.layers[0].replaced[0].clone();
    twice.layers[0].replaced.push(copy);
    let text = model.insert_adapter("b", twice).unwrap_err().to_string();
    assert!(text.contains("once"), "{text}");
    for rank in [1 << 60, usize::MAX, (1 << 16) + 1] {
        for adapter in [Adapter::from(Lora::rank(rank)), Vera::rank(rank).into()] {
            let text = model.add_adapter("b", "hidden", adapter).unwrap_err();
            assert!(text.to_string().contains("at most"), "{text}");
        }
    }
    let ids = layers![Input::integers([5]), Embedding::new(6, 4).named("it")];
    let mut model = Sequential::with_seed(ids, 5).unwrap();
    let error = model.adapt("it", Lora::rank(2).lora_bias());
    assert!(error.unwrap_err().to_string().contains("embedding"));
    let part = Lora::rank(2).modules_to_save(Selector::weights("head/bias"));
    let text = network().adapt("hidden", part).unwrap_err().to_string();
    assert!(text.contains("head") && text.contains("whole"), "{text}");
}
