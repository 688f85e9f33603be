//! What a list of measurements says.

/// The value that this share of the measurements does not exceed (nearest rank); none of nothing.
pub(super) fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rank is a small whole number"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

pub(super) fn median(values: &[f64]) -> Option<f64> {
    percentile(values, 0.5)
}

pub(super) fn least(values: &[f64]) -> Option<f64> {
    percentile(values, 0.0)
}

pub(super) fn most(values: &[f64]) -> Option<f64> {
    percentile(values, 1.0)
}

/// The median, and the least and the most beside it.
pub(super) fn spread(values: &[f64], digits: usize) -> String {
    let told = [median(values), least(values), most(values)];
    let [Some(median), Some(least), Some(most)] = told else { return "-".to_owned() };
    format!("{median:.digits$} ({least:.digits$}-{most:.digits$})")
}

#[expect(clippy::cast_precision_loss, reason = "no count here reaches 2^52")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_thousand_values_the_99th_percentile_is_the_990th() {
        let values: Vec<f64> = (1..=1000).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 0.99), Some(990.0));
        assert_eq!(median(&values), Some(500.0));
        assert_eq!((least(&values), most(&values)), (Some(1.0), Some(1000.0)));
    }

    #[test]
    fn a_rank_between_two_values_is_the_higher_one() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    }

    #[test]
    fn one_value_is_every_percentile() {
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| percentile(&[7.0], share)), [Some(7.0); 4]);
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(median(&[]), None);
    }
}
