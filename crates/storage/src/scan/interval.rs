//! Sets of time intervals: what a filter says about the designated timestamp.

/// All instants from `start` to `end`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// First instant.
    pub start: i64,
    /// Last instant.
    pub end: i64,
}

/// Disjoint intervals, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntervalSet(Vec<Interval>);

impl IntervalSet {
    /// Every instant.
    pub fn all() -> Self {
        Self(vec![Interval { start: i64::MIN, end: i64::MAX }])
    }

    /// No instant.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// From `start` to `end`, both included; none when they are the wrong way round.
    pub fn between(start: i64, end: i64) -> Self {
        if start <= end {
            Self(vec![Interval { start, end }])
        } else {
            Self::none()
        }
    }

    /// Whether every instant is in the set.
    pub fn is_all(&self) -> bool {
        matches!(self.0.as_slice(), [Interval { start: i64::MIN, end: i64::MAX }])
    }

    /// The intervals.
    pub fn iter(&self) -> impl Iterator<Item = &Interval> {
        self.0.iter()
    }

    /// The instants that are in both sets.
    pub fn intersect(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut out = Vec::new();
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            let (start, end) = (x.start.max(y.start), x.end.min(y.end));
            if start <= end {
                out.push(Interval { start, end });
            }
            if x.end < y.end {
                a.next();
            } else {
                b.next();
            }
        }
        Self(out)
    }

    /// The instants that are in any of the sets.
    pub fn union(sets: impl IntoIterator<Item = Self>) -> Self {
        let mut all: Vec<Interval> = sets.into_iter().flat_map(|set| set.0).collect();
        all.sort_unstable_by_key(|i| i.start);
        let mut out: Vec<Interval> = Vec::with_capacity(all.len());
        for interval in all {
            match out.last_mut() {
                Some(last) if interval.start <= last.end.saturating_add(1) => {
                    last.end = last.end.max(interval.end)
                }
                _ => out.push(interval),
            }
        }
        Self(out)
    }

    /// The part of the set from `start` to `end`, both included.
    pub fn within(&self, start: i64, end: i64) -> Self {
        // Tables have many partitions and queries with long IN lists many intervals.
        let first = self.0.partition_point(|i| i.end < start);
        let touching = self.0.iter().skip(first).take_while(|i| i.start <= end);
        Self(touching.map(|i| Interval { start: i.start.max(start), end: i.end.min(end) }).collect())
    }

    /// Whether there is no instant in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(parts: &[(i64, i64)]) -> IntervalSet {
        IntervalSet::union(parts.iter().map(|(a, b)| IntervalSet::between(*a, *b)))
    }

    #[test]
    fn union_merges_neighbours() {
        assert_eq!(set(&[(5, 7), (1, 2), (3, 4), (9, 9)]), set(&[(1, 7), (9, 9)]));
        assert_eq!(IntervalSet::between(2, 1), IntervalSet::none());
        assert!(IntervalSet::union([IntervalSet::between(i64::MIN, 5), IntervalSet::between(6, i64::MAX)])
            .is_all());
    }

    #[test]
    fn intersection_and_window_keep_what_is_common() {
        let a = set(&[(0, 10), (20, 30)]);
        assert_eq!(a.intersect(&set(&[(5, 25), (30, 40)])), set(&[(5, 10), (20, 25), (30, 30)]));
        assert_eq!(a.within(8, 22), set(&[(8, 10), (20, 22)]));
        assert!(a.within(11, 19).is_empty());
        assert_eq!(IntervalSet::all().intersect(&a), a);
    }
}
