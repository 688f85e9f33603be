//! Figures beside what was asked of them, one a row. It measures nothing, and a missed bound fails nothing.

use std::fmt::Write as _;

/// One figure.
pub(super) struct Row {
    pub(super) what: &'static str,
    /// None when it was not measured, which is told.
    pub(super) figure: Option<f64>,
    pub(super) unit: &'static str,
    pub(super) bound: Option<Bound>,
    /// How many measurements it comes from.
    pub(super) runs: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtMost(bound) => figure <= bound,
            Self::AtLeast(bound) => figure >= bound,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::AtMost(bound) => format!("<= {}", number(bound, unit)),
            Self::AtLeast(bound) => format!(">= {}", number(bound, unit)),
        }
    }
}

pub(super) fn render(whose: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "| {whose:46} |       figure |        bound | holds  |     of |\n\
         |:-----------------------------------------------|-------------:|-------------:|:-------|-------:|\n"
    );
    for Row { what, figure, unit, bound, runs } in rows {
        let verdict = match (figure, bound) {
            (Some(figure), Some(bound)) if bound.holds(*figure) => "yes",
            (Some(_), Some(_)) => "MISSED",
            (None, _) | (_, None) => "",
        };
        let figure = figure.map_or_else(|| "not measured".to_owned(), |figure| number(figure, unit));
        let bound = bound.map_or(String::new(), |bound| bound.text(unit));
        writeln!(text, "| {what:46} | {figure:>12} | {bound:>12} | {verdict:6} | {runs:>6} |")
            .expect("a string takes every line");
    }
    text
}

fn number(figure: f64, unit: &str) -> String {
    let number = match unit {
        "" => format!("{figure:.0}"),
        "ms" => format!("{figure:.1} ms"),
        "us" | "/s" => format!("{figure:.0} {unit}"),
        unit => format!("{figure:.2} {unit}"),
    };
    number.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_bound_is_kept_on_its_own_side() {
        let row =
            |figure, bound| Row { what: "a", figure: Some(figure), unit: "x", bound: Some(bound), runs: 5 };
        let least = [1.69, 1.7].map(|figure| row(figure, Bound::AtLeast(1.7)));
        let most = [0.5, 0.51].map(|figure| row(figure, Bound::AtMost(0.5)));
        let text = render("byway", &least.into_iter().chain(most).collect::<Vec<_>>());
        let ends: Vec<&str> = text.lines().skip(2).map(|line| line[49..].trim()).collect();
        expect![[r"
            |       1.69 x |    >= 1.70 x | MISSED |      5 |
            |       1.70 x |    >= 1.70 x | yes    |      5 |
            |       0.50 x |    <= 0.50 x | yes    |      5 |
            |       0.51 x |    <= 0.50 x | MISSED |      5 |"]]
        .assert_eq(&ends.join("\n"));
    }
}
