//! Names of partition directories (docs/format.md §5).
//!
//! ```text
//! DAY   2024-02-21            exactly at the start of the unit
//! WEEK  2020-W53              ISO week year
//! DAY   2024-02-28T180000-000001.3    a split part: first instant in it, then the name txn
//! ```

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};

use super::meta::PartitionBy;
use crate::types::TimeUnit;

/// Directory name of a table that is not partitioned.
pub const UNPARTITIONED: &str = "default";

/// Directory name, without name txn, of the partition whose `_txn` timestamp is `timestamp`.
/// `None` when the timestamp has no date.
pub fn name(timestamp: i64, by: PartitionBy, unit: TimeUnit) -> Option<String> {
    if matches!(by, PartitionBy::None | PartitionBy::NotApplicable) {
        return Some(UNPARTITIONED.to_owned());
    }
    let time = to_datetime(timestamp, unit)?;
    let date = time.date();
    let (y, m, d) = (date.year(), date.month(), date.day());
    let midnight = time.num_seconds_from_midnight() == 0 && time.nanosecond() == 0;
    let week = date.iso_week();
    let at_floor = match by {
        PartitionBy::Year => midnight && m == 1 && d == 1,
        PartitionBy::Month => midnight && d == 1,
        PartitionBy::Week => midnight && date.weekday().number_from_monday() == 1,
        PartitionBy::Day => midnight,
        _ => time.minute() == 0 && time.second() == 0 && time.nanosecond() == 0,
    };
    Some(match (by, at_floor) {
        (PartitionBy::Year, true) => format!("{y:04}"),
        (PartitionBy::Month, true) => format!("{y:04}-{m:02}"),
        (PartitionBy::Week, true) => format!("{:04}-W{:02}", week.year(), week.week()),
        (PartitionBy::Day, true) => format!("{y:04}-{m:02}-{d:02}"),
        (PartitionBy::Hour, true) => format!("{y:04}-{m:02}-{d:02}T{:02}", time.hour()),
        (PartitionBy::Week, false) => {
            let day = date.weekday().number_from_monday();
            format!("{:04}-W{:02}-{day}{}", week.year(), week.week(), tail(&time, unit))
        }
        _ => format!("{y:04}-{m:02}-{d:02}{}", tail(&time, unit)),
    })
}

/// Directory of a partition: its name, and the name txn when there is one.
pub fn directory(name: &str, name_txn: Option<u64>) -> String {
    match name_txn {
        Some(txn) => format!("{name}.{txn}"),
        None => name.to_owned(),
    }
}

/// The part of a split partition's name behind the date, as long as it has to be.
fn tail(time: &NaiveDateTime, unit: TimeUnit) -> String {
    let (h, m, s, nanos) = (time.hour(), time.minute(), time.second(), time.nanosecond());
    let fraction = match unit {
        TimeUnit::Nanos => format!("{nanos:09}"),
        TimeUnit::Micros => format!("{:06}", nanos / 1000),
    };
    if nanos != 0 {
        format!("T{h:02}{m:02}{s:02}-{fraction}")
    } else if m != 0 || s != 0 {
        format!("T{h:02}{m:02}{s:02}")
    } else if h != 0 {
        format!("T{h:02}")
    } else {
        String::new()
    }
}

/// First instant behind the unit that holds `timestamp`; `i64::MAX` when that is out of range.
pub fn end_of_unit(timestamp: i64, by: PartitionBy, unit: TimeUnit) -> i64 {
    next_unit(timestamp, by, unit).unwrap_or(i64::MAX)
}

fn next_unit(timestamp: i64, by: PartitionBy, unit: TimeUnit) -> Option<i64> {
    let time = to_datetime(timestamp, unit)?;
    let date = time.date();
    let next = match by {
        PartitionBy::Year => NaiveDate::from_ymd_opt(date.year().checked_add(1)?, 1, 1)?,
        PartitionBy::Month => first_of_month(date)?.checked_add_months(chrono::Months::new(1))?,
        PartitionBy::Week => date.week(chrono::Weekday::Mon).checked_last_day()?.succ_opt()?,
        PartitionBy::Day => date.succ_opt()?,
        PartitionBy::Hour => {
            let hour = date.and_hms_opt(time.hour(), 0, 0)?;
            return from_datetime(hour.checked_add_signed(chrono::TimeDelta::hours(1))?, unit);
        }
        PartitionBy::None | PartitionBy::NotApplicable => return None,
    };
    from_datetime(next.and_hms_opt(0, 0, 0)?, unit)
}

fn first_of_month(date: NaiveDate) -> Option<NaiveDate> {
    date.with_day(1)
}

fn to_datetime(timestamp: i64, unit: TimeUnit) -> Option<NaiveDateTime> {
    match unit {
        TimeUnit::Micros => DateTime::from_timestamp_micros(timestamp).map(|t| t.naive_utc()),
        TimeUnit::Nanos => Some(DateTime::from_timestamp_nanos(timestamp).naive_utc()),
    }
}

fn from_datetime(time: NaiveDateTime, unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::Micros => Some(time.and_utc().timestamp_micros()),
        TimeUnit::Nanos => time.and_utc().timestamp_nanos_opt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PartitionBy::{Day, Hour, Month, None as Unpartitioned, Week, Year};

    fn micros(text: &str) -> i64 {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").unwrap().and_utc().timestamp_micros()
    }

    #[test]
    fn names_as_the_server_writes_them() {
        for (text, by, expected) in [
            ("2024-01-01T00:00:00", Year, "2024"),
            ("2024-02-01T00:00:00", Month, "2024-02"),
            ("2020-12-28T00:00:00", Week, "2020-W53"),
            ("2024-02-21T00:00:00", Day, "2024-02-21"),
            ("2024-02-21T06:00:00", Hour, "2024-02-21T06"),
            ("2024-01-13T09:36:00.000001", Month, "2024-01-13T093600-000001"),
            ("2022-05-27T00:00:00.000001", Year, "2022-05-27T000000-000001"),
            ("2023-12-31T23:24:00.000001", Hour, "2023-12-31T232400-000001"),
            ("2024-01-28T00:00:00", Month, "2024-01-28"),
            ("2024-11-01T00:00:00", Year, "2024-11-01"),
            ("2024-01-06T00:00:00", Week, "2024-W01-6"),
            ("2024-01-06T05:00:00", Week, "2024-W01-6T05"),
            ("2024-01-28T05:00:00", Month, "2024-01-28T05"),
            ("2024-01-01T22:00:00", Day, "2024-01-01T22"),
            ("2024-01-01T00:53:00", Hour, "2024-01-01T005300"),
            ("9999-12-31T00:00:00", Day, "9999-12-31"),
            ("2024-01-01T00:00:00", Unpartitioned, "default"),
        ] {
            assert_eq!(name(micros(text), by, TimeUnit::Micros).unwrap(), expected, "{text} {by:?}");
            if !text.starts_with("9999") {
                let nanos = expected.replace("-000001", "-000001000");
                assert_eq!(name(micros(text) * 1000, by, TimeUnit::Nanos).unwrap(), nanos, "{text} {by:?}");
            }
        }
        assert_eq!(directory("2024", Some(0)), "2024.0");
        assert_eq!(directory("2024", None), "2024");
    }

    #[test]
    fn units_end_where_the_next_one_starts() {
        for (by, end) in [
            (Year, "2025-01-01T00:00:00"),
            (Month, "2025-01-01T00:00:00"),
            (Week, "2025-01-06T00:00:00"),
            (Day, "2025-01-01T00:00:00"),
            (Hour, "2024-12-31T23:00:00"),
        ] {
            let unit_end = end_of_unit(micros("2024-12-31T22:59:59.999999"), by, TimeUnit::Micros);
            assert_eq!(unit_end, micros(end), "{by:?}");
        }
        assert_eq!(end_of_unit(i64::MAX, Day, TimeUnit::Nanos), i64::MAX);
        assert_eq!(end_of_unit(0, Unpartitioned, TimeUnit::Micros), i64::MAX);
        assert_eq!(name(i64::MAX, Day, TimeUnit::Micros), None);
    }
}
