//! The first of a row of versions that behaves otherwise than the one before it.

/// What looking through a row of versions has found. Numbers are places in that row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bisected {
    /// `before` behaves as the first version does, `after` as it does not; those between them, if
    /// there are any, cannot be judged.
    Changed {
        /// The last that behaves as the first version does.
        before: usize,
        /// The first that does not.
        after: usize,
    },
    /// The two ends behave alike. What lies between them was not looked at.
    Alike,
    /// Fewer than two of them can be judged at all.
    Unjudged,
}

/// Looks for the change by halving. `judge` tells how the version at a place behaves, or `None` if
/// that cannot be told, because it does not compile for instance: its neighbours are asked then.
/// No place is asked twice.
pub fn bisect<B: PartialEq>(count: usize, mut judge: impl FnMut(usize) -> Option<B>) -> Bisected {
    let mut broken = vec![false; count];
    let mut ask = |place: usize, broken: &mut Vec<bool>| {
        let behaviour = judge(place);
        broken[place] = behaviour.is_none();
        behaviour
    };
    let first = (0..count).find_map(|i| ask(i, &mut broken).map(|b| (i, b)));
    let Some((mut before, behaviour)) = first else { return Bisected::Unjudged };
    let last = (before + 1..count).rev().find_map(|i| ask(i, &mut broken).map(|b| (i, b)));
    let Some((mut after, other)) = last else { return Bisected::Unjudged };
    if behaviour == other {
        return Bisected::Alike;
    }
    loop {
        let open: Vec<usize> = (before + 1..after).filter(|i| !broken[*i]).collect();
        let Some(middle) = open.get(open.len() / 2).copied() else {
            return Bisected::Changed { before, after };
        };
        match ask(middle, &mut broken) {
            Some(b) if b == behaviour => before = middle,
            Some(_) => after = middle,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(row: &str) -> (Bisected, usize) {
        let row: Vec<char> = row.chars().collect();
        let mut asked = 0;
        let found = bisect(row.len(), |place| {
            asked += 1;
            Some(row[place]).filter(|c| *c != 'x')
        });
        (found, asked)
    }

    #[test]
    fn every_place_of_the_change_is_found_in_rows_of_every_length() {
        for length in 2..20 {
            for change in 1..length {
                let row = "a".repeat(change) + &"b".repeat(length - change);
                let found = Bisected::Changed { before: change - 1, after: change };
                let (seen, asked) = of(&row);
                assert_eq!(seen, found, "{row}");
                assert!(asked <= 3 + length.ilog2() as usize, "{row}: {asked}");
            }
        }
    }

    #[test]
    fn versions_that_cannot_be_judged_are_stepped_over() {
        assert_eq!(of("aaxxxbb").0, Bisected::Changed { before: 1, after: 5 });
        assert_eq!(of("xxaaxabxxbx").0, Bisected::Changed { before: 5, after: 6 });
        assert_eq!(of("axxxxxxx").0, Bisected::Unjudged);
        assert_eq!(of("xxx").0, Bisected::Unjudged);
        assert_eq!(of("").0, Bisected::Unjudged);
    }

    #[test]
    fn two_ends_that_behave_alike_hide_what_is_between_them() {
        assert_eq!(of("aba"), (Bisected::Alike, 2));
    }
}
