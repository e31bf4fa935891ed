//! Sorting what is nearly sorted already, as the calls of a recorded history are.

/// Sorts by a key. Calls of P processes are out of order by a few places only, so insertion is
/// tried first, and given up for a general sort once it has moved more than a few places each.
pub(super) fn by_key<T: Copy>(items: &mut [T], key: impl Fn(&T) -> u64) {
    let mut patience = 16 * items.len();
    for i in 1..items.len() {
        let item = items[i];
        let wanted = key(&item);
        if key(&items[i - 1]) <= wanted {
            continue;
        }
        let mut hole = i;
        while hole > 0 && key(&items[hole - 1]) > wanted {
            items[hole] = items[hole - 1];
            hole -= 1;
        }
        items[hole] = item;
        patience = patience.saturating_sub(i - hole);
        if patience == 0 {
            items.sort_unstable_by_key(&key);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::by_key;

    #[test]
    fn sorts_whatever_the_disorder() {
        let scrambled = |n: u64, step: u64| (0..n).map(|i| i * step % n).collect::<Vec<_>>();
        for (n, step) in [(0, 1), (1, 1), (97, 1), (97, 31), (5_003, 2_501), (5_003, 5_002)] {
            let mut items = scrambled(n, step);
            by_key(&mut items, |i| *i);
            assert!(items.is_sorted(), "{n} items in steps of {step}");
        }
    }
}
