//! What is strange about a set of pictures, said before anything is trained on it.

use crate::finding::listed;
use crate::gives_away::gives_away;
use crate::groups::{Sets, join_near, join_same, looks};
use crate::{Finding, FindingKind, Inspection};

impl Inspection {
    /// Whether nothing is on the picture: [`FindingKind::Blank`].
    pub fn is_blank(&self) -> bool {
        self.brightness.p99 - self.brightness.p1 < 0.02
    }
}

/// What is strange about pictures, the most serious first. `labels` are the numbers of their classes, or none if they
/// are unknown; `classes` has the names.
///
/// A property gives a class away (size, shape, brightness, sharpness, format, colours, bytes per pixel) if by it alone
/// the class is told from the others: values are put into bins (16 at most, with equally many pictures), and a picture
/// is said to be of the class if, the picture itself left out, the bin has a larger share of the class than of the
/// others. The finding is made if the mean of the shares that are right, of the class and of the others, is .85 or
/// more (chance is .5) and more than 4 standard errors above .5. Of pictures of a class that are one
/// [group](crate::groups) the first counts.
///
/// # Panics
/// If there are labels, but not one for each picture, or one without a name.
pub fn findings(inspections: &[Inspection], labels: &[i32], classes: &[String]) -> Vec<Finding> {
    let mut findings = Findings {
        inspections,
        labels,
        found: Vec::new(),
    };
    if !labels.is_empty() {
        assert_eq!(labels.len(), inspections.len(), "a label for each picture");
        findings.of_classes(classes);
    }
    findings.duplicates();
    findings.of_each();
    findings.of_size_and_color();
    if !labels.is_empty() {
        findings
            .found
            .extend(gives_away(inspections, labels, classes));
    }
    findings.found.sort_by_key(|finding| finding.kind);
    findings.found
}

struct Findings<'a> {
    inspections: &'a [Inspection],
    labels: &'a [i32],
    found: Vec<Finding>,
}

impl Findings<'_> {
    /// Adds a finding about single pictures, if there are any. `are` and `why` are the sentence: "3 pictures are dark:
    /// why".
    fn add(&mut self, kind: FindingKind, pictures: Vec<usize>, are: &str, why: &str) {
        if pictures.is_empty() {
            return;
        }
        let sentence = format!(
            "{} {are}: {why}",
            count(pictures.len(), "picture is", "pictures are")
        );
        self.found.push(Finding {
            kind,
            pictures,
            sets: Vec::new(),
            classes: Vec::new(),
            sentence,
        });
    }

    fn of_classes(&mut self, names: &[String]) {
        let mut sizes = vec![0; names.len()];
        for &label in self.labels {
            sizes[label as usize] += 1;
        }
        let mut add = |kind, classes: Vec<usize>, sentence| {
            self.found.push(Finding {
                kind,
                pictures: Vec::new(),
                sets: Vec::new(),
                classes,
                sentence,
            });
        };
        let with_some: Vec<usize> = (0..names.len()).filter(|&class| sizes[class] > 0).collect();
        if let [only] = with_some[..] {
            let sentence = format!(
                "all pictures are of one class, {}: there is nothing to tell apart",
                names[only]
            );
            add(FindingKind::OneClass, vec![only], sentence);
        }
        let few: Vec<usize> = (0..names.len())
            .filter(|&class| sizes[class] < 20)
            .collect();
        if !few.is_empty() {
            let list: Vec<String> = few
                .iter()
                .map(|&class| format!("{} ({})", names[class], sizes[class]))
                .collect();
            let what = count(few.len(), "class has", "classes have");
            let sentence = format!("{what} fewer than 20 pictures: {}", listed(&list));
            add(FindingKind::FewPictures, few, sentence);
        }
        let rarest = (0..names.len()).min_by_key(|&class| sizes[class]);
        if let Some(rarest) = rarest.filter(|_| with_some.len() > 1) {
            let share = sizes[rarest] as f64 / self.labels.len() as f64;
            if share < 0.1 / names.len() as f64 {
                let sentence = format!(
                    "{} of {} pictures are of the class {}: weigh the classes, or collect more of it",
                    sizes[rarest],
                    self.labels.len(),
                    names[rarest]
                );
                add(FindingKind::Imbalance, vec![rarest], sentence);
            }
        }
    }

    fn duplicates(&mut self) {
        let all = self.inspections.len();
        let mut same = Sets::new(all);
        join_same(
            &mut same,
            self.inspections.iter().map(|picture| picture.pixels),
        );
        let mut near = Sets::new(all);
        join_near(&mut near, &looks(self.inspections));
        let near = near.several().into_iter().filter(|set| {
            // Not what has just been said.
            set.iter()
                .any(|&picture| self.inspections[picture].pixels != self.inspections[set[0]].pixels)
        });
        let near = near.collect();
        for (kind, across, sets, what) in [
            (
                FindingKind::SamePixels,
                FindingKind::SamePixelsAcrossClasses,
                same.several(),
                "have the same pixels as others",
            ),
            (
                FindingKind::NearDuplicates,
                FindingKind::NearDuplicatesAcrossClasses,
                near,
                "nearly look like others",
            ),
        ] {
            let class = |picture: usize| self.labels.get(picture);
            let (of_several, of_one): (Vec<_>, Vec<_>) = sets
                .into_iter()
                .partition(|set| set.iter().any(|&picture| class(picture) != class(set[0])));
            for (kind, sets, where_) in [
                (across, of_several, "of another class"),
                (kind, of_one, "of their class"),
            ] {
                if sets.is_empty() {
                    continue;
                }
                let mut pictures: Vec<usize> = sets.concat();
                pictures.sort_unstable();
                let where_ = if self.labels.is_empty() { "" } else { where_ };
                let sentence = format!("{} pictures {what} {where_}", pictures.len());
                let sentence = format!(
                    "{} ({})",
                    sentence.trim_end(),
                    count(sets.len(), "set", "sets")
                );
                self.found.push(Finding {
                    kind,
                    pictures,
                    sets,
                    classes: Vec::new(),
                    sentence,
                });
            }
        }
    }

    fn of_each(&mut self) {
        let which = |is: &dyn Fn(&Inspection) -> bool| -> Vec<usize> {
            (0..self.inspections.len())
                .filter(|&picture| is(&self.inspections[picture]))
                .collect()
        };
        let damaged = which(&|picture| picture.source.damaged);
        let blank = which(&|picture| picture.is_blank());
        let dark = which(&|picture| picture.brightness.p99 < 0.32);
        let light = which(&|picture| 1.0 - picture.brightness.p5 < 0.05);
        let blurred = which(&|picture| picture.sharpness < 0.29 && !picture.is_blank());
        let low = which(&|picture| 0.1 * picture.entropy < 0.3 && !picture.is_blank());
        let odd = which(&|picture| {
            let (short, long) = (
                picture.width.min(picture.height),
                picture.width.max(picture.height),
            );
            (short as f64) < 0.35 * long as f64
        });
        self.add(
            FindingKind::Damaged,
            damaged,
            "damaged",
            "a part of the file cannot be read",
        );
        self.add(
            FindingKind::Blank,
            blank,
            "blank",
            "almost all pixels are equally bright",
        );
        self.add(
            FindingKind::Dark,
            dark,
            "dark",
            "99 % of the pixels are below .32 of full brightness",
        );
        self.add(
            FindingKind::Light,
            light,
            "light",
            "95 % of the pixels are above .95 of full brightness",
        );
        self.add(
            FindingKind::Blurred,
            blurred,
            "blurred",
            "there are hardly any edges",
        );
        self.add(
            FindingKind::LowInformation,
            low,
            "simple",
            "the colours tell less than 3 bits",
        );
        self.add(
            FindingKind::OddShape,
            odd,
            "long and narrow",
            "one side is less than .35 of the other",
        );
    }

    fn of_size_and_color(&mut self) {
        let side = |picture: &Inspection| (picture.width as f64 * picture.height as f64).sqrt();
        let mut sides: Vec<f64> = self.inspections.iter().map(side).collect();
        sides.sort_by(f64::total_cmp);
        if sides.is_empty() {
            return;
        }
        // As numpy's percentile.
        let quartile = |share: f64| {
            let place = share * (sides.len() - 1) as f64;
            let (below, above) = (sides[place.floor() as usize], sides[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        let (first, third) = (quartile(0.25), quartile(0.75));
        let (least, most) = (first - 3.0 * (third - first), third + 3.0 * (third - first));
        let all = 0..self.inspections.len();
        let odd = all
            .clone()
            .filter(|&picture| !(least..=most).contains(&side(&self.inspections[picture])));
        let usual = match first == third {
            true => format!(
                "half of all have {first:.0} × {first:.0} pixels, or as many in another shape"
            ),
            false => format!(
                "half of all are between {first:.0} and {third:.0} pixels on a side (as squares)"
            ),
        };
        self.add(
            FindingKind::OddSize,
            odd.collect(),
            "of an odd size",
            &usual,
        );
        let grey = |picture: &usize| self.inspections[*picture].grey;
        let (grey, colored): (Vec<usize>, Vec<usize>) = all.partition(grey);
        let few = self.inspections.len() / 20;
        if grey.len() <= few {
            self.add(
                FindingKind::OddColor,
                grey,
                "grey",
                "the others are coloured",
            );
        } else if colored.len() <= few {
            self.add(
                FindingKind::OddColor,
                colored,
                "coloured",
                "the others are grey",
            );
        }
    }
}

/// `1 picture is`, `3 pictures are`.
pub(crate) fn count(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}
