//! Pages as a whole: what they must have and must not have, whatever they are made of.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use regraft_report::{
    Amount, Answer, Bin, Calibration, Cost, Estimate, Finding, Frozen, Level, MOST_BYTES, Picture,
    Report, Sample, Suspect, Unknown,
};

const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// A report that has everything, with `text` wherever there is text.
fn full(text: &str, classes: usize, samples: usize) -> Report {
    let sample = |number: usize| Sample {
        name: format!("{text}{number}"),
        label: Some(number % classes),
        answer: Some(Answer {
            class: (number + number / classes % 3) % classes,
            confidence: 1.0 / (1 + number % 17) as f64,
        }),
    };
    let text = || text.to_string();
    Report {
        title: text(),
        summary: text(),
        classes: (0..classes)
            .map(|class| format!("{}{class}", text()))
            .collect(),
        samples: (0..samples).map(sample).collect(),
        estimates: vec![
            Estimate {
                name: text(),
                value: 0.5,
                low: 0.4,
                high: 0.6,
                how: text()
            };
            3
        ],
        calibration: Some(Calibration {
            error: 0.1,
            temperature: Some(1.5),
            bins: vec![
                Bin {
                    confidence: 0.5,
                    accuracy: 0.4,
                    count: 3
                };
                4
            ],
        }),
        suspects: (0..samples.min(100))
            .map(|sample| Suspect {
                sample,
                class: 0,
                label_probability: 0.01,
            })
            .collect(),
        findings: vec![
            Finding {
                level: Level::Warning,
                title: text(),
                text: text(),
                groups: vec![(0..samples.min(20)).collect(); 9],
            };
            40
        ],
        unreadable: vec![(text(), text()); 300],
        unknown: Some(Unknown {
            can_tell: false,
            area: 0.6,
            classes: vec![(0, 0.6)],
            text: text(),
        }),
        facts: vec![(text(), text()); 50],
        costs: vec![
            Cost {
                name: text(),
                predicted: Some(Amount::Seconds(1.0)),
                spent: Some(Amount::Bytes(9))
            };
            120
        ],
        frozen: Some(Frozen {
            parameters: 7,
            before: text(),
            after: text(),
        }),
        command: text(),
        settings: text(),
    }
}

fn pictures(report: &Report, bytes: &[u8]) -> BTreeMap<usize, Picture> {
    let picture = |heat: bool| {
        let picture = Picture::new(4, 3, bytes).unwrap();
        if heat {
            picture.heat(2, &[0.1, 0.2, 0.3, 1.0]).unwrap()
        } else {
            picture
        }
    };
    let wanted = report.wanted().into_iter();
    wanted
        .map(|wanted| (wanted.sample, picture(wanted.heat)))
        .collect()
}

/// What stands in quotes after each `before`.
fn quoted<'h>(html: &'h str, before: &str) -> Vec<&'h str> {
    let rest = html.split(before).skip(1);
    rest.map(|rest| rest.split('"').next().unwrap()).collect()
}

/// Every link leads somewhere, and no two things have one name.
fn check_links(html: &str) {
    let ids = quoted(html, " id=\"");
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "an id twice");
    let links = quoted(html, " href=\"#");
    assert!(!links.is_empty());
    for link in links {
        assert!(
            unique.contains(link),
            "a link to {link}, which is not there"
        );
    }
}

#[test]
fn a_page_shows_what_it_wanted() {
    let report = full("name ", 8, 300);
    let pictures = pictures(&report, GIF);
    let html = report.html(&pictures);
    check_links(&html);
    assert!(!html.contains("no picture") && !html.contains("left out so that"));
    assert_eq!(html.matches("<symbol id=\"p").count(), pictures.len());
    for section in [
        "overview",
        "findings",
        "unreadable",
        "suspects",
        "classes",
        "confusion",
        "mistakes",
        "confidence",
        "reliability",
        "unknown",
        "run",
        "repeat",
    ] {
        assert!(
            html.contains(&format!("<section id=\"{section}\"")),
            "{section}"
        );
    }
    let without = report.html(&BTreeMap::new());
    check_links(&without);
    assert!(without.contains("no picture") && !without.contains("<symbol"));
}

#[test]
fn an_empty_report_is_a_page() {
    let html = Report::default().html(&BTreeMap::new());
    check_links(&html);
    assert!(
        html.starts_with("<!DOCTYPE html>") && html.len() < 20_000,
        "{}",
        html.len()
    );
}

#[test]
fn data_that_are_only_checked_have_no_answers() {
    let report = Report {
        classes: vec!["a".into()],
        samples: vec![Sample {
            name: "a/1.png".into(),
            label: Some(0),
            answer: None,
        }],
        findings: vec![Finding {
            title: "dark".into(),
            groups: vec![vec![0]],
            ..Finding::default()
        }],
        ..Report::default()
    };
    let html = report.html(&pictures(&report, GIF));
    assert!(html.contains("id=\"findings\"") && html.contains("a/1.png"));
    for section in ["confusion", "mistakes", "classes", "confidence"] {
        assert!(!html.contains(&format!("id=\"{section}\"")), "{section}");
    }
}

#[test]
fn many_classes_show_those_that_are_confused() {
    for classes in [100, 1000, 3000] {
        let report = full("c", classes, 4 * classes);
        let html = report.html(&BTreeMap::new());
        check_links(&html);
        assert!(html.contains("that are confused most"), "{classes}");
        assert_eq!(html.contains("classes with the lowest F1"), classes > 1000);
    }
}

#[test]
fn pictures_that_do_not_fit_are_left_out_from_the_end() {
    let report = full("name ", 8, 3000);
    let mut large = GIF.to_vec();
    large.resize(60_000, b'x');
    let pictures = pictures(&report, &large);
    let html = report.html(&pictures);
    assert!(
        html.len() <= MOST_BYTES && html.len() > MOST_BYTES - 200_000,
        "{}",
        html.len()
    );
    assert!(html.contains("pictures were left out"));
    check_links(&html);
    // The first that it wants is there.
    let first = report.wanted()[0].sample;
    assert!(html.contains(&format!("<symbol id=\"p{first}\"")));
}

#[test]
fn numbers_that_are_none_and_places_that_are_not_there_do_no_harm() {
    let report = Report {
        classes: vec!["a".into()],
        samples: vec![Sample {
            name: "x".into(),
            label: Some(7),
            answer: Some(Answer {
                class: 9,
                confidence: f64::NAN,
            }),
        }],
        estimates: vec![Estimate {
            value: f64::NAN,
            low: f64::NEG_INFINITY,
            high: 2.0,
            ..Estimate::default()
        }],
        suspects: vec![Suspect {
            sample: 99,
            class: 99,
            label_probability: f64::NAN,
        }],
        findings: vec![Finding {
            groups: vec![vec![1234], vec![]],
            ..Finding::default()
        }],
        calibration: Some(Calibration {
            error: f64::NAN,
            temperature: None,
            bins: vec![Bin {
                confidence: f64::NAN,
                accuracy: 0.0,
                count: 0,
            }],
        }),
        unknown: Some(Unknown {
            classes: vec![(5, f64::NAN)],
            ..Unknown::default()
        }),
        costs: vec![Cost {
            spent: Some(Amount::Seconds(f64::INFINITY)),
            ..Cost::default()
        }],
        ..Report::default()
    };
    check_links(&report.html(&BTreeMap::new()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// No text gets out of its place, and no page is too long.
    #[test]
    fn text_stays_text(text in "\\PC{0,40}|[<>&\"'/=a-z ]{0,60}", classes in 1usize..60) {
        let text = format!("{text}<script>alert(1)</script>\"' onload=x ");
        let report = full(&text, classes, 200);
        let html = report.html(&pictures(&report, GIF));
        prop_assert!(!html.contains("<script") && !html.contains("\"' onload"));
        prop_assert!(html.len() <= MOST_BYTES);
        check_links(&html);
    }
}

#[test]
fn the_longest_names_fit() {
    for letter in ["\"", "𝕏", "x", "/", "\u{202e}"] {
        let report = full(&letter.repeat(3000), 2000, 3000);
        let html = report.html(&pictures(&report, GIF));
        assert!(html.len() <= MOST_BYTES, "{letter}: {}", html.len());
        check_links(&html);
    }
}
