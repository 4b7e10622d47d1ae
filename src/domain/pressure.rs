//! Which windows close where credit is short: the fattest, and no more of them than that.

/// Windows and what each holds of the credit; `waits` is what is waited for, `comes` what comes back anyway: what is held and no longer in
/// a window. The fattest close first, until they hold what is still lacking.
pub fn to_close<K: Ord>(
    windows: impl IntoIterator<Item = (K, u64)>,
    waits_bytes: u64,
    comes_bytes: u64,
) -> Vec<K> {
    let mut lacking = waits_bytes.saturating_sub(comes_bytes);
    let mut windows: Vec<_> = windows.into_iter().filter(|(_, bytes)| *bytes > 0).collect();
    windows.sort_by(|(one, fat), (other, fatter)| fatter.cmp(fat).then_with(|| one.cmp(other)));
    let is_needed = |(_, bytes): &(K, u64)| {
        let needed = lacking > 0;
        lacking = lacking.saturating_sub(*bytes);
        needed
    };
    windows.into_iter().take_while(is_needed).map(|(window, _)| window).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_fattest_close_first_until_the_pressure_is_gone() {
        let windows = [("thin", 1), ("fat", 60), ("empty", 0), ("middle", 30)];
        assert_eq!(to_close(windows, 50, 0), ["fat"]);
        assert_eq!(to_close(windows, 61, 0), ["fat", "middle"]);
        assert_eq!(to_close(windows, 1_000, 0), ["fat", "middle", "thin"]);
        // What was closed a moment ago is on its way back.
        assert_eq!(to_close(windows, 61, 60), ["fat"]);
        assert_eq!(to_close(windows, 60, 60), [""; 0]);
    }

    proptest! {
        #[test]
        fn enough_is_closed_and_not_one_window_more(
            windows in prop::collection::vec(0_u64..100, 0..20), waits in 0_u64..500, comes in 0_u64..100,
        ) {
            let all: Vec<_> = windows.iter().copied().enumerate().collect();
            let closed = to_close(all, waits, comes);
            let bytes: Vec<_> = closed.iter().map(|window| windows[*window]).collect();
            let lacking = waits.saturating_sub(comes);
            let sum: u64 = bytes.iter().sum();
            prop_assert!(sum >= lacking.min(windows.iter().sum()));
            prop_assert!(bytes.last().is_none_or(|last| sum - last < lacking));
            let open = (0..windows.len()).filter(|window| !closed.contains(window));
            prop_assert!(open.into_iter().all(|window| bytes.iter().all(|closed| *closed >= windows[window])));
        }
    }
}
