//! Every application beside the table of what Keras builds, `fixtures/golden/applications.json`.

use std::path::Path;

use rayon::prelude::*;
use regraft_autograd::{Attribute, Feed, Graph, NodeId, Nodes, Program, Run, passes};
use regraft_layers::Mode;
use regraft_tensor::Tensor;
use serde_json::Value;

use super::*;
use crate::training::inputs::Inputs;

/// The FNV-1a hash of lines, as the script has it.
fn digest(lines: &[String]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in lines.join("\n").bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    format!("{hash:016x}")
}

/// The application of a case, with its arguments.
fn application(name: &str, variant: &Value) -> Application<dyn Architecture> {
    let alpha = variant["alpha"].as_f64().unwrap_or(1.0);
    let minimalistic = variant["minimalistic"] == true;
    let includes = variant["include_preprocessing"] != false;
    let v3 = |network: Application<MobileNetV3>| {
        let network = network.alpha(alpha).minimalistic(minimalistic);
        network.include_preprocessing(includes).into_any()
    };
    let v2 =
        |network: Application<EfficientNetV2>| network.include_preprocessing(includes).into_any();
    let convnext =
        |network: Application<ConvNeXt>| network.include_preprocessing(includes).into_any();
    let mut application = match name {
        "MobileNet" => mobilenet().alpha(alpha).into_any(),
        "MobileNetV2" => mobilenet_v2().alpha(alpha).into_any(),
        "MobileNetV3Small" => v3(mobilenet_v3_small()),
        "MobileNetV3Large" => v3(mobilenet_v3_large()),
        "EfficientNetV2B0" => v2(efficientnet_v2_b0()),
        "EfficientNetV2B1" => v2(efficientnet_v2_b1()),
        "EfficientNetV2B2" => v2(efficientnet_v2_b2()),
        "EfficientNetV2B3" => v2(efficientnet_v2_b3()),
        "EfficientNetV2S" => v2(efficientnet_v2_s()),
        "EfficientNetV2M" => v2(efficientnet_v2_m()),
        "EfficientNetV2L" => v2(efficientnet_v2_l()),
        "ConvNeXtTiny" => convnext(convnext_tiny()),
        "ConvNeXtSmall" => convnext(convnext_small()),
        "ConvNeXtBase" => convnext(convnext_base()),
        "ConvNeXtLarge" => convnext(convnext_large()),
        "ConvNeXtXLarge" => convnext(convnext_xlarge()),
        name => by_name(name).unwrap(),
    };
    if let Some(include_top) = variant["include_top"].as_bool() {
        application = application.include_top(include_top);
    }
    if let Some(pooling) = variant["pooling"].as_str() {
        application = application.pooling(pooling);
    }
    application
}

/// What of the case our model has otherwise.
fn differences(case: &Value) -> Vec<String> {
    let application = application(case["name"].as_str().unwrap(), &case["variant"]);
    let Backbone {
        model,
        preprocessing,
        ..
    } = application.build().unwrap();
    let recognized = model.preprocessing();
    let (mut weights, mut names) = (Vec::new(), Vec::new());
    let (mut layers, mut parameters, mut trainable) = (0, 0, 0);
    for place in model.places() {
        if place.class_name == "InputLayer" && place.path.contains('/') {
            continue;
        }
        names.push(place.name.to_string());
        layers += usize::from(!place.weights.is_empty());
        for &id in place.weights {
            let weight = model.weights().get(id).unwrap();
            let shape: Vec<String> = weight
                .value()
                .shape()
                .iter()
                .map(usize::to_string)
                .collect();
            let (layer, class, shape) = (place.name, place.class_name, shape.join("x"));
            weights.push(format!("{layer} {class} {} {shape}", weight.name()));
            parameters += weight.value().len();
            if weight.kind() == regraft_layers::WeightKind::Parameter {
                trainable += weight.value().len();
            }
        }
    }
    let ours = [
        ("model", model.name().into()),
        ("layers", layers.into()),
        ("parameters", parameters.into()),
        ("trainable", trainable.into()),
        ("weights_digest", digest(&weights).into()),
        ("names_digest", digest(&names).into()),
    ];
    let differs = |(key, ours): &(&str, Value)| case[key] != *ours;
    let differing: Vec<_> = ours.into_iter().filter(differs).collect();
    if let (false, Ok(folder)) = (differing.is_empty(), std::env::var("REGRAFT_LIST")) {
        let file = format!("{folder}/{}{}.txt", case["name"], case["variant"]).replace('"', "");
        std::fs::write(file, [weights, names].concat().join("\n") + "\n").unwrap();
    }
    let describe = |(key, ours): (&str, Value)| format!("{key} {ours} not {}", case[key]);
    let mut differences: Vec<String> = differing.into_iter().map(describe).collect();
    // Networks that leave out the scaling they usually do cannot all be told apart.
    let unknown = case["variant"]["include_preprocessing"] == false && recognized.is_none();
    if recognized != Some(preprocessing) && !unknown {
        differences.push(format!("recognized {recognized:?} not {preprocessing:?}"));
    }
    differences
}

/// The nodes of a network of small pictures as they are before products are fused, and after.
fn frozen_program(application: Application<dyn Architecture>) -> [Nodes; 2] {
    let application = application.include_top(false);
    let sizes = [32, 75];
    let mut built = sizes
        .iter()
        .map(|&size| application.clone().input_shape([size, size, 3]).build());
    let Backbone { model, .. } = built.find_map(Result::ok).unwrap();
    let graph = Graph::new();
    let inputs = Inputs::of(&model.network).unwrap().in_graph(&graph);
    let (outputs, _) = model.network.emit(&graph, &inputs, Mode::Constant).unwrap();
    let mut stages = Vec::new();
    passes::optimize_traced(&graph.nodes_for(&outputs), |_, after| {
        stages.push(after.clone());
    });
    let [.., before, after] = stages.as_slice() else {
        panic!("two passes");
    };
    [before.clone(), after.clone()]
}

#[test]
fn residuals_are_added_by_convolutions_with_the_same_bits_in_every_family() {
    // Of each family the smallest, and how many of its convolutions end with a sum.
    let expected = [
        ("MobileNet", 0),
        ("MobileNetV2", 10),
        ("MobileNetV3Small", 6),
        ("EfficientNetB0", 9),
        ("EfficientNetV2B0", 15),
        ("EfficientNetLite0", 9),
        ("ResNet50", 16),
        ("ResNet50V2", 16),
        ("ConvNeXtTiny", 0),
        ("DenseNet121", 0),
        ("NASNetMobile", 52),
        ("Xception", 12),
        ("InceptionV3", 0),
        // The others add a branch that was multiplied with a number.
        ("InceptionResNetV2", 1),
        ("VGG16", 0),
    ];
    let mut found = Vec::new();
    for (name, _) in expected {
        let [before, after] = frozen_program(application(name, &Value::Null));
        let fused = after.iter().filter(|(_, node)| {
            let op = node.op().and_then(|op| op.identity(&mut |_| ()));
            op.is_some_and(|op| op.get("residual") == Some(&Attribute::Bool(true)))
        });
        found.push((name, fused.count()));
        let x = (0..2 * before.node(NodeId(0)).shape.len(1)).map(|i| (i as f32 * 0.61).sin());
        let x: Vec<f32> = x.collect();
        let run = |nodes: Nodes| -> Vec<u32> {
            let mut workspace = Program::from_nodes(nodes).workspace();
            let none: [Tensor; 0] = [];
            workspace
                .run(2, &[Feed::F32(&x)], &none, Run::default())
                .unwrap();
            workspace.output(0).iter().map(|x| x.to_bits()).collect()
        };
        assert_eq!(run(after), run(before), "{name}");
    }
    assert_eq!(found, expected);
}

#[test]
fn every_application_is_what_keras_builds() {
    let golden = "../../fixtures/golden/applications.json";
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join(golden);
    let table: Value = serde_json::from_slice(&std::fs::read(table).unwrap()).unwrap();
    let cases = table["cases"].as_array().unwrap();
    let wrong: Vec<String> = cases
        .par_iter()
        .flat_map_iter(|case| {
            let what =
                move |difference| format!("{} {}: {difference}", case["name"], case["variant"]);
            differences(case).into_iter().map(what)
        })
        .collect();
    let help = "compare what `fixtures/applications_table.py list NAME` prints with the files that \
                this test writes into the folder REGRAFT_LIST";
    assert!(wrong.is_empty(), "{}\n{help}", wrong.join("\n"));
    let tested = |name: &str| cases.iter().any(|case| case["name"] == name);
    let untested: Vec<_> = names().filter(|name| !tested(name)).collect();
    assert!(
        untested
            .iter()
            .all(|name| name.starts_with("EfficientNetLite")),
        "{untested:?}"
    );
}
