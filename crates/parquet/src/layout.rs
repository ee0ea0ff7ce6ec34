//! Partitions of a timestamp column and the names of their files.
//!
//! Names are those of the server's partition directories: `2024-12-28T00`, `2024-01-01`, `2024-W52`, `2024-12`, `2024`.

use std::path::PathBuf;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use chrono::{DateTime, Datelike, Days, NaiveDate, Weekday};

use crate::error::{Error, Result};
use crate::options::{Layout, PartitionUnit};

/// What rows have in common that go to the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Partition {
    /// There are no partitions.
    #[default]
    Whole,
    /// The unit that begins at this second since 1970, UTC.
    At(PartitionStart),
    /// Rows without a timestamp.
    Null,
}

/// A unit of time by its first second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionStart {
    /// Seconds since 1970.
    pub second: i64,
    unit: u8,
}

const SECONDS_OF_A_DAY: i64 = 86_400;

impl Partition {
    /// The partition of a point in time.
    pub fn of(unit: PartitionUnit, second: i64) -> Self {
        if unit == PartitionUnit::None {
            return Self::Whole;
        }
        let day = second.div_euclid(SECONDS_OF_A_DAY);
        let date = date_of(day);
        let first_day = |first: Option<NaiveDate>| first.map_or(day, day_of) * SECONDS_OF_A_DAY;
        let second = match unit {
            PartitionUnit::None | PartitionUnit::Hour => second.div_euclid(3600) * 3600,
            PartitionUnit::Day => day * SECONDS_OF_A_DAY,
            PartitionUnit::Week => {
                first_day(date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday()))))
            }
            PartitionUnit::Month => first_day(date.with_day(1)),
            PartitionUnit::Year => first_day(NaiveDate::from_ymd_opt(date.year(), 1, 1)),
        };
        Self::At(PartitionStart { second, unit: unit as u8 })
    }

    /// The first second after the partition.
    fn end(start: PartitionStart, unit: PartitionUnit) -> i64 {
        let date = date_of(start.second.div_euclid(SECONDS_OF_A_DAY));
        let later = |next: Option<NaiveDate>| next.map_or(i64::MAX, |date| day_of(date) * SECONDS_OF_A_DAY);
        match unit {
            PartitionUnit::None | PartitionUnit::Hour => start.second.saturating_add(3600),
            PartitionUnit::Day => start.second.saturating_add(SECONDS_OF_A_DAY),
            PartitionUnit::Week => start.second.saturating_add(7 * SECONDS_OF_A_DAY),
            PartitionUnit::Month if date.month() == 12 => {
                later(NaiveDate::from_ymd_opt(date.year() + 1, 1, 1))
            }
            PartitionUnit::Month => later(NaiveDate::from_ymd_opt(date.year(), date.month() + 1, 1)),
            PartitionUnit::Year => later(NaiveDate::from_ymd_opt(date.year() + 1, 1, 1)),
        }
    }

    /// Its first second and the first one after it; `None` when it is no unit of time.
    pub fn seconds(&self, unit: PartitionUnit) -> Option<(i64, i64)> {
        match self {
            Self::At(start) => Some((start.second, Self::end(*start, unit))),
            Self::Whole | Self::Null => None,
        }
    }

    /// The name without suffix: `2024-01-01`; `null` for rows without a timestamp; `None` when there are no partitions.
    pub fn name(&self, unit: PartitionUnit) -> Option<String> {
        let start = match self {
            Self::Whole => return None,
            Self::Null => return Some("null".to_owned()),
            Self::At(start) => start,
        };
        let date = date_of(start.second.div_euclid(SECONDS_OF_A_DAY));
        let hour = start.second.rem_euclid(SECONDS_OF_A_DAY) / 3600;
        let (year, month, day) = (date.year(), date.month(), date.day());
        Some(match unit {
            PartitionUnit::None => return None,
            PartitionUnit::Hour => format!("{year:04}-{month:02}-{day:02}T{hour:02}"),
            PartitionUnit::Day => format!("{year:04}-{month:02}-{day:02}"),
            PartitionUnit::Week => format!("{:04}-W{:02}", date.iso_week().year(), date.iso_week().week()),
            PartitionUnit::Month => format!("{year:04}-{month:02}"),
            PartitionUnit::Year => format!("{year:04}"),
        })
    }

    /// `year=2024/month=1/day=28`, as DuckDB names directories; weeks are ISO weeks of the ISO year.
    fn hive(&self, unit: PartitionUnit) -> PathBuf {
        let keys: &[&str] = match unit {
            PartitionUnit::None => &[],
            PartitionUnit::Hour => &["year", "month", "day", "hour"],
            PartitionUnit::Day => &["year", "month", "day"],
            PartitionUnit::Week => &["year", "week"],
            PartitionUnit::Month => &["year", "month"],
            PartitionUnit::Year => &["year"],
        };
        let value = |key: &str| -> String {
            let Self::At(start) = self else { return "__HIVE_DEFAULT_PARTITION__".to_owned() };
            let date = date_of(start.second.div_euclid(SECONDS_OF_A_DAY));
            match key {
                "year" if unit == PartitionUnit::Week => date.iso_week().year().to_string(),
                "year" => date.year().to_string(),
                "month" => date.month().to_string(),
                "week" => date.iso_week().week().to_string(),
                "day" => date.day().to_string(),
                _ => (start.second.rem_euclid(SECONDS_OF_A_DAY) / 3600).to_string(),
            }
        };
        keys.iter().map(|key| format!("{key}={}", value(key))).collect()
    }
}

fn date_of(day: i64) -> NaiveDate {
    DateTime::from_timestamp(day.saturating_mul(SECONDS_OF_A_DAY), 0)
        .map_or(NaiveDate::MIN, |time| time.date_naive())
}

fn day_of(date: NaiveDate) -> i64 {
    i64::from(date.num_days_from_ce()) - 719_163
}

/// Days that a name can be made for: years 0 to 9999 and what chrono can compute.
fn in_range(second: i64) -> bool {
    DateTime::from_timestamp(second, 0).is_some()
}

/// The path of a partition's file, relative to the destination, without ordinal and suffix.
pub fn stem(layout: Layout, unit: PartitionUnit, partition: &Partition) -> Option<PathBuf> {
    match (layout, partition) {
        (Layout::Parts, _) | (_, Partition::Whole) => None,
        (Layout::Questdb, _) => partition.name(unit).map(PathBuf::from),
        (Layout::Hive, _) => Some(partition.hive(unit).join("data")),
    }
}

/// Consecutive rows of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Their partition.
    pub partition: Partition,
    /// The first row.
    pub start: usize,
    /// Rows.
    pub rows: usize,
}

/// Splits batches by the unit of a timestamp column.
#[derive(Debug, Clone)]
pub struct Partitioner {
    /// Index of the column.
    pub column: usize,
    /// The unit.
    pub unit: PartitionUnit,
    name: String,
}

impl Partitioner {
    /// A partitioner by column `column`, which must be TIMESTAMP or DATE.
    pub fn new(column: usize, name: &str, data_type: &DataType, unit: PartitionUnit) -> Result<Self> {
        match data_type {
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
                Ok(Self { column, unit, name: name.to_owned() })
            }
            other => {
                Err(Error::option("timestamp", "partitioning is possible only by a TIMESTAMP or DATE column")
                    .in_column(name)
                    .found(format_args!("Arrow type {other}")))
            }
        }
    }

    /// The runs of a batch's timestamp column.
    pub fn runs(&self, array: &ArrayRef) -> Result<Vec<Run>> {
        let wrong = || Error::internal("a timestamp column of another type").in_column(&self.name);
        let nulls = array.nulls();
        match array.data_type() {
            DataType::Date32 => {
                let days = array.as_primitive_opt::<Date32Type>().ok_or_else(wrong)?;
                self.split(days.len(), 1, |row| i64::from(days.value(row)) * SECONDS_OF_A_DAY, nulls)
            }
            DataType::Date64 => {
                let values = array.as_primitive_opt::<Date64Type>().ok_or_else(wrong)?.values();
                self.split_ticks(values, 1_000, nulls)
            }
            DataType::Timestamp(unit, _) => match unit {
                TimeUnit::Second => self.split_ticks(
                    array.as_primitive_opt::<TimestampSecondType>().ok_or_else(wrong)?.values(),
                    1,
                    nulls,
                ),
                TimeUnit::Millisecond => self.split_ticks(
                    array.as_primitive_opt::<TimestampMillisecondType>().ok_or_else(wrong)?.values(),
                    1_000,
                    nulls,
                ),
                TimeUnit::Microsecond => self.split_ticks(
                    array.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(wrong)?.values(),
                    1_000_000,
                    nulls,
                ),
                TimeUnit::Nanosecond => self.split_ticks(
                    array.as_primitive_opt::<TimestampNanosecondType>().ok_or_else(wrong)?.values(),
                    1_000_000_000,
                    nulls,
                ),
            },
            _ => Err(wrong()),
        }
    }

    fn split_ticks(
        &self,
        values: &[i64],
        per_second: i64,
        nulls: Option<&arrow_buffer::NullBuffer>,
    ) -> Result<Vec<Run>> {
        self.split(values.len(), per_second, |row| values.get(row).copied().unwrap_or(0), nulls)
    }

    /// Compares ticks with the bounds of the current partition; a new partition is computed only when they are left.
    fn split(
        &self,
        rows: usize,
        per_second: i64,
        tick: impl Fn(usize) -> i64,
        nulls: Option<&arrow_buffer::NullBuffer>,
    ) -> Result<Vec<Run>> {
        let mut runs: Vec<Run> = Vec::new();
        let (mut low, mut high) = (1i64, 0i64);
        let mut current = Partition::Whole;
        for row in 0..rows {
            let partition = if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                Partition::Null
            } else {
                let tick = tick(row);
                if !(low <= tick && tick < high) {
                    let second = tick.div_euclid(per_second);
                    if !in_range(second) {
                        return Err(Error::invalid_input("a timestamp has no calendar date")
                            .in_column(&self.name)
                            .found(tick));
                    }
                    current = Partition::of(self.unit, second);
                    if let Partition::At(start) = current {
                        low = start.second.saturating_mul(per_second);
                        high = Partition::end(start, self.unit).saturating_mul(per_second);
                    }
                }
                current
            };
            match runs.last_mut() {
                Some(run) if run.partition == partition => run.rows += 1,
                _ => runs.push(Run { partition, start: row, rows: 1 }),
            }
        }
        Ok(runs)
    }
}

/// The ISO weekday a week begins on, for the documentation's sake.
pub const FIRST_WEEKDAY: Weekday = Weekday::Mon;

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Date32Array, TimestampMicrosecondArray, TimestampNanosecondArray};
    use std::sync::Arc;

    fn name(unit: PartitionUnit, text: &str) -> String {
        let second = DateTime::parse_from_rfc3339(text).unwrap().timestamp();
        Partition::of(unit, second).name(unit).unwrap()
    }

    #[test]
    fn names_are_those_of_the_server() {
        for (unit, time, expected) in [
            (PartitionUnit::Hour, "2024-02-21T06:59:59Z", "2024-02-21T06"),
            (PartitionUnit::Day, "2024-02-21T23:59:59Z", "2024-02-21"),
            (PartitionUnit::Week, "2021-01-03T12:00:00Z", "2020-W53"),
            (PartitionUnit::Week, "2021-01-04T00:00:00Z", "2021-W01"),
            (PartitionUnit::Week, "2024-12-30T00:00:00Z", "2025-W01"),
            (PartitionUnit::Month, "2024-02-29T00:00:00Z", "2024-02"),
            (PartitionUnit::Year, "2024-12-31T23:59:59Z", "2024"),
            (PartitionUnit::Year, "9999-12-31T23:59:59Z", "9999"),
            (PartitionUnit::Day, "1969-12-31T23:59:59Z", "1969-12-31"),
        ] {
            assert_eq!(name(unit, time), expected, "{time}");
        }
    }

    #[test]
    fn hive_directories_have_plain_numbers() {
        let second = DateTime::parse_from_rfc3339("2024-02-03T04:05:06Z").unwrap().timestamp();
        let path = |unit| stem(Layout::Hive, unit, &Partition::of(unit, second)).unwrap();
        assert_eq!(path(PartitionUnit::Hour), PathBuf::from("year=2024/month=2/day=3/hour=4/data"));
        assert_eq!(path(PartitionUnit::Week), PathBuf::from("year=2024/week=5/data"));
        let null = stem(Layout::Hive, PartitionUnit::Month, &Partition::Null).unwrap();
        assert_eq!(
            null,
            PathBuf::from("year=__HIVE_DEFAULT_PARTITION__/month=__HIVE_DEFAULT_PARTITION__/data")
        );
    }

    #[test]
    fn runs_split_at_units_and_nulls() {
        let day = 86_400_000_000i64;
        let array: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![
            Some(-1),
            Some(0),
            Some(day - 1),
            None,
            Some(day),
        ]));
        let partitioner = Partitioner::new(0, "ts", array.data_type(), PartitionUnit::Day).unwrap();
        let runs = partitioner.runs(&array).unwrap();
        let shape: Vec<(String, usize)> =
            runs.iter().map(|run| (run.partition.name(PartitionUnit::Day).unwrap(), run.rows)).collect();
        let expected = [("1969-12-31", 1), ("1970-01-01", 2), ("null", 1), ("1970-01-02", 1)];
        assert_eq!(shape, expected.map(|(name, rows)| (name.to_owned(), rows)));
    }

    #[test]
    fn all_units_of_time_split_alike() {
        let ns: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![i64::MIN, 0, i64::MAX]));
        let partitioner = Partitioner::new(0, "ts", ns.data_type(), PartitionUnit::Year).unwrap();
        let names: Vec<String> = partitioner
            .runs(&ns)
            .unwrap()
            .iter()
            .map(|run| run.partition.name(PartitionUnit::Year).unwrap())
            .collect();
        assert_eq!(names, ["1677", "1970", "2262"]);
        let date: ArrayRef = Arc::new(Date32Array::from(vec![19_000]));
        let partitioner = Partitioner::new(0, "d", date.data_type(), PartitionUnit::Month).unwrap();
        assert_eq!(
            partitioner.runs(&date).unwrap()[0].partition.name(PartitionUnit::Month).unwrap(),
            "2022-01"
        );
        let us: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN]));
        let partitioner = Partitioner::new(0, "ts", us.data_type(), PartitionUnit::Day).unwrap();
        assert!(partitioner.runs(&us).unwrap_err().to_string().contains("no calendar date"));
    }
}
