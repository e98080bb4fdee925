//! The text format of Prometheus, version 0.0.4.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::exporter::metrics::Metric;

/// The media type of a page.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The labels of a sample.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page that grows.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn finish(self) -> String {
        self.0
    }

    /// Says what a metric is, once before its samples. One without samples is not said.
    fn head(&mut self, metric: &Metric) {
        let kind = if metric.counter { "counter" } else { "gauge" };
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {} {}\n# TYPE {0} {kind}", metric.name, metric.help);
    }

    /// A metric and its samples.
    pub(super) fn family<L: AsRef<[(&'static str, String)]>>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = (L, f64)>,
    ) {
        let mut first = true;
        for (labels, value) in samples {
            if std::mem::take(&mut first) {
                self.head(metric);
            }
            let labels: Vec<(&str, &str)> = labels.as_ref().iter().map(|(key, value)| (*key, value.as_str())).collect();
            self.sample(metric, &labels, value);
        }
    }

    fn sample(&mut self, metric: &Metric, labels: Labels<'_>, value: f64) {
        self.0.push_str(metric.name);
        for (at, (key, text)) in labels.iter().enumerate() {
            self.0.push(if at == 0 { '{' } else { ',' });
            self.0.push_str(key);
            self.0.push_str("=\"");
            for character in text.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        // Every whole number up to 2^53 is written as one.
        let _ = writeln!(self.0, " {value}");
    }
}

/// What has a label of its own: so many at most, and who has one keeps it for as long as it is there.
#[derive(Debug)]
pub(super) struct Admitted {
    limit: usize,
    known: BTreeSet<(String, String)>,
}

/// The label of all that have none of their own.
pub(super) const OTHER: &str = "other";

impl Admitted {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, known: BTreeSet::new() }
    }

    /// Takes note of what is there now, by bridge and name.
    pub(super) fn renew<'a>(&mut self, there: impl Iterator<Item = (&'a str, &'a str)>) {
        let there: BTreeSet<(&str, &str)> = there.collect();
        self.known.retain(|(bridge, name)| there.contains(&(bridge.as_str(), name.as_str())));
        for (bridge, name) in there {
            if self.known.len() >= self.limit {
                break;
            }
            self.known.insert((bridge.into(), name.into()));
        }
    }

    /// The label of a thing.
    pub(super) fn label<'a>(&self, bridge: &str, name: &'a str) -> &'a str {
        if self.known.contains(&(bridge.into(), name.into())) { name } else { OTHER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRIC: &Metric = &Metric { name: "x_total", counter: true, help: "Things." };

    #[test]
    fn a_page_is_as_prometheus_reads_it() {
        let mut page = Page::default();
        let labels = vec![("a", "q\"b\\c\nd".to_owned()), ("e", String::new())];
        page.family(METRIC, [(labels, 5.0), (vec![], 9_007_199_254_740_991.0)]);
        page.family::<Vec<_>>(METRIC, []);
        assert_eq!(
            page.finish(),
            "# HELP x_total Things.\n# TYPE x_total counter\nx_total{a=\"q\\\"b\\\\c\\nd\",e=\"\"} 5\nx_total 9007199254740991\n"
        );
    }

    #[test]
    fn labels_are_bounded_and_stay_with_who_has_them() {
        let mut admitted = Admitted::new(2);
        admitted.renew([("br", "b"), ("br", "c")].into_iter());
        admitted.renew([("br", "a"), ("br", "b"), ("br", "c")].into_iter());
        assert_eq!(["a", "b", "c"].map(|name| admitted.label("br", name)), ["other", "b", "c"]);
        admitted.renew([("br", "a"), ("br", "c")].into_iter());
        assert_eq!(["a", "b", "c"].map(|name| admitted.label("br", name)), ["a", "other", "c"]);
    }
}
