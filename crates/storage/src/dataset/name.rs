//! The time that the name of a partition's file stands for.
//!
//! ```text
//! 2024  2024-02  2024-W05  2024-02-28  2024-02-28T18     a unit
//! 2024-02-28T180000-000001  2024-W05-6T18                a part of a unit, from here on
//! ```
//!
//! A part's name can look like that of a smaller unit: `2024-02-28` is a day, or the end of a month. So a name is only
//! certain of its first instant; where the rows end is known with the files beside it ([`super::discover`]).

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, Weekday};

/// What a name says, in seconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NamedTime {
    /// First instant, or less than a second before it.
    pub(super) start: i64,
    /// End of the unit that the name looks like; `start` for a part of a unit.
    pub(super) end: i64,
}

/// The time of a name without suffix; `None` when it is no time.
pub(super) fn parse(name: &str) -> Option<NamedTime> {
    let (date, time) = match name.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (name, None),
    };
    let (first, last) = dates(date)?;
    let midnight = |date: NaiveDate| date.and_hms_opt(0, 0, 0);
    let Some(time) = time else {
        return Some(NamedTime { start: second(midnight(first)?), end: second(midnight(last)?) });
    };
    // Only a day has hours.
    if first.succ_opt() != Some(last) {
        return None;
    }
    let (clock, fraction) = time.split_once('-').map_or((time, None), |(clock, f)| (clock, Some(f)));
    if fraction.is_some_and(|f| !matches!(f.len(), 6 | 9) || !is_digits(f)) {
        return None;
    }
    let part = |at: usize| clock.get(at..at + 2).filter(|text| is_digits(text))?.parse::<u32>().ok();
    match (clock.len(), fraction) {
        (2, None) => {
            let start = second(first.and_hms_opt(part(0)?, 0, 0)?);
            Some(NamedTime { start, end: start + 3600 })
        }
        (6, _) => {
            let start = second(first.and_hms_opt(part(0)?, part(2)?, part(4)?)?);
            Some(NamedTime { start, end: start })
        }
        _ => None,
    }
}

/// The unit of hive keys `year`, then `month`, `day` and `hour`, or `week`; other keys do not matter.
pub(super) fn of_keys<'a>(keys: impl Fn(&str) -> Option<&'a str>) -> Option<(String, NamedTime)> {
    let number = |key: &str| keys(key).filter(|text| is_digits(text))?.parse::<u32>().ok();
    let year = number("year")?;
    let name = match (number("month"), number("day"), number("hour"), number("week")) {
        (None, None, None, Some(week)) => format!("{year:04}-W{week:02}"),
        (Some(month), Some(day), Some(hour), None) => format!("{year:04}-{month:02}-{day:02}T{hour:02}"),
        (Some(month), Some(day), None, None) => format!("{year:04}-{month:02}-{day:02}"),
        (Some(month), None, None, None) => format!("{year:04}-{month:02}"),
        (None, None, None, None) => format!("{year:04}"),
        _ => return None,
    };
    let time = parse(&name)?;
    Some((name, time))
}

/// The first day of a date's unit, and the first day behind it.
fn dates(text: &str) -> Option<(NaiveDate, NaiveDate)> {
    let mut parts = text.split('-');
    let year = parts.next().filter(|year| year.len() == 4 && is_digits(year))?.parse::<i32>().ok()?;
    let (middle, last) = (parts.next(), parts.next());
    if parts.next().is_some() {
        return None;
    }
    let two = |text: &str| Some(text).filter(|t| t.len() == 2 && is_digits(t))?.parse::<u32>().ok();
    let Some(middle) = middle else {
        return Some((
            NaiveDate::from_ymd_opt(year, 1, 1)?,
            NaiveDate::from_ymd_opt(year.checked_add(1)?, 1, 1)?,
        ));
    };
    if let Some(week) = middle.strip_prefix('W') {
        let monday = NaiveDate::from_isoywd_opt(year, two(week)?, Weekday::Mon)?;
        return match last {
            None => Some((monday, monday.checked_add_days(Days::new(7))?)),
            Some(day) => {
                let day = day.parse::<u64>().ok().filter(|day| (1..=7).contains(day))?;
                let date = monday.checked_add_days(Days::new(day - 1))?;
                Some((date, date.succ_opt()?))
            }
        };
    }
    let month = NaiveDate::from_ymd_opt(year, two(middle)?, 1)?;
    match last {
        None => Some((month, month.checked_add_months(Months::new(1))?)),
        Some(day) => {
            let date = month.with_day(two(day)?)?;
            Some((date, date.succ_opt()?))
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn second(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str) -> Option<(String, String)> {
        let text = |second| chrono::DateTime::from_timestamp(second, 0).unwrap().format("%FT%T").to_string();
        parse(name).map(|time| (text(time.start), text(time.end)))
    }

    #[test]
    fn names_of_each_unit_are_times() {
        for (name, start, end) in [
            ("2024", "2024-01-01T00:00:00", "2025-01-01T00:00:00"),
            ("2024-02", "2024-02-01T00:00:00", "2024-03-01T00:00:00"),
            ("2024-12", "2024-12-01T00:00:00", "2025-01-01T00:00:00"),
            ("2020-W53", "2020-12-28T00:00:00", "2021-01-04T00:00:00"),
            ("2024-02-28", "2024-02-28T00:00:00", "2024-02-29T00:00:00"),
            ("2024-02-28T18", "2024-02-28T18:00:00", "2024-02-28T19:00:00"),
            ("2024-02-28T180001-000001", "2024-02-28T18:00:01", "2024-02-28T18:00:01"),
            ("2024-02-28T180001-000001000", "2024-02-28T18:00:01", "2024-02-28T18:00:01"),
            ("2024-W01-6", "2024-01-06T00:00:00", "2024-01-07T00:00:00"),
            ("2024-W01-6T05", "2024-01-06T05:00:00", "2024-01-06T06:00:00"),
        ] {
            assert_eq!(shown(name), Some((start.to_owned(), end.to_owned())), "{name}");
        }
    }

    #[test]
    fn other_names_are_no_times() {
        for name in [
            "",
            "part-00000",
            "24",
            "20240101",
            "2024-13",
            "2024-02-30",
            "2024-W54",
            "2024-02T05",
            "2024-2",
            "2024-02-28T",
            "2024-02-28T24",
            "2024-02-28T1800",
            "2024-02-28T180000-1",
            "2024-02-28-01",
            "data_0",
            "+024",
            "2024-W1",
            "２０２４",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn hive_keys_make_the_same_times() {
        let of = |pairs: &[(&str, &'static str)]| {
            let pairs: Vec<(String, &'static str)> =
                pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
            of_keys(|key| pairs.iter().find(|(k, _)| k == key).map(|(_, v)| *v)).map(|(name, _)| name)
        };
        assert_eq!(of(&[("year", "2024"), ("month", "1")]).as_deref(), Some("2024-01"));
        assert_eq!(of(&[("year", "2024"), ("week", "07"), ("sym", "A")]).as_deref(), Some("2024-W07"));
        assert_eq!(
            of(&[("year", "2024"), ("month", "1"), ("day", "9"), ("hour", "3")]).as_deref(),
            Some("2024-01-09T03")
        );
        assert_eq!(of(&[("year", "2024"), ("day", "3")]), None);
        assert_eq!(of(&[("month", "3")]), None);
        assert_eq!(of(&[("year", "2024"), ("month", "13")]), None);
    }
}
