//! Waits for a condition, never for a time. It does not know what it waits for: the caller's words say it.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// For what has no bound of its own.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// How long between two looks: short against every bound of the design, long against the cost of a look.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Looks until `look` succeeds, at least once. When `timeout` has passed, the error names `what` was waited for
/// and what the last look saw.
pub fn wait_for<T>(what: &str, timeout: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        let seen = match look() {
            Ok(value) => return Ok(value),
            Err(seen) => seen,
        };
        if Instant::now() >= deadline {
            return Err(anyhow!("waited {timeout:?} for {what}; last seen: {seen:#}"));
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn returns_what_the_first_successful_look_saw() {
        let mut looks = 0;
        let seen = wait_for("the third look", Duration::from_secs(5), || {
            looks += 1;
            (looks == 3).then_some(looks).ok_or_else(|| anyhow!("look {looks}"))
        });
        assert_eq!(seen.unwrap(), 3);
    }

    #[test]
    fn tells_what_it_waited_for_and_what_it_saw_last() {
        let error = wait_for::<()>("the moon", Duration::ZERO, || bail!("a cloud")).unwrap_err();
        assert_eq!(error.to_string(), "waited 0ns for the moon; last seen: a cloud");
    }
}
