//! Dates, times and intervals as DuckDB casts them to VARCHAR.

use super::number::integer;

const DAY_SECONDS: i64 = 86_400;

/// Parts of a second: how many, and how many digits they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Parts of a second.
    pub per_second: i64,
    /// Digits.
    pub digits: usize,
}

/// Whole seconds.
pub const SECONDS: Unit = Unit { per_second: 1, digits: 0 };
/// Milliseconds.
pub const MILLIS: Unit = Unit { per_second: 1_000, digits: 3 };
/// Microseconds.
pub const MICROS: Unit = Unit { per_second: 1_000_000, digits: 6 };
/// Nanoseconds.
pub const NANOS: Unit = Unit { per_second: 1_000_000_000, digits: 9 };

/// A number with leading zeros.
fn padded(value: u64, digits: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(value).as_bytes();
    out.extend((text.len()..digits).map(|_| b'0'));
    out.extend_from_slice(text);
}

/// Year, month and day of a day since 1970, in the calendar that has always been Gregorian.
fn civil(day: i64) -> (i64, u64, u64) {
    // Years begin in March here, so that the leap day is the last one.
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + next, month.unsigned_abs(), of_month.unsigned_abs())
}

/// A day since 1970: `2024-01-02`, `0044-01-01 (BC)`.
fn day(value: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(value);
    padded(if year > 0 { year } else { 1 - year }.unsigned_abs(), 4, out);
    out.push(b'-');
    padded(month, 2, out);
    out.push(b'-');
    padded(day, 2, out);
    if year <= 0 {
        out.extend_from_slice(b" (BC)");
    }
}

/// A DATE.
pub fn date(value: i32, out: &mut Vec<u8>) {
    match value {
        i32::MAX => out.extend_from_slice(b"infinity"),
        v if v == -i32::MAX => out.extend_from_slice(b"-infinity"),
        v => day(i64::from(v), out),
    }
}

/// `01:02:03`, `01:02:03.5`; hours beyond 24 are possible.
pub fn clock(value: u64, unit: Unit, out: &mut Vec<u8>) {
    let per_second = unit.per_second.unsigned_abs().max(1);
    let (seconds, mut fraction) = (value / per_second, value % per_second);
    padded(seconds / 3600, 2, out);
    out.push(b':');
    padded(seconds / 60 % 60, 2, out);
    out.push(b':');
    padded(seconds % 60, 2, out);
    if fraction > 0 {
        let mut digits = unit.digits;
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            digits -= 1;
        }
        out.push(b'.');
        padded(fraction, digits, out);
    }
}

/// A TIMESTAMP of any unit.
pub fn timestamp(value: i64, unit: Unit, out: &mut Vec<u8>) {
    match value {
        i64::MAX => return out.extend_from_slice(b"infinity"),
        v if v == -i64::MAX => return out.extend_from_slice(b"-infinity"),
        _ => {}
    }
    let per_day = unit.per_second * DAY_SECONDS;
    day(value.div_euclid(per_day), out);
    out.push(b' ');
    clock(value.rem_euclid(per_day).unsigned_abs(), unit, out);
}

/// A TIMESTAMPTZ in UTC.
pub fn timestamp_utc(value: i64, unit: Unit, out: &mut Vec<u8>) {
    timestamp(value, unit, out);
    if value != i64::MAX && value != -i64::MAX {
        out.extend_from_slice(b"+00");
    }
}

/// A TIME WITH TIME ZONE by DuckDB's bits: microseconds in the upper 40, the offset in the lower 24, reversed.
pub fn time_tz(bits: u64, out: &mut Vec<u8>) {
    const MOST: i64 = 16 * 3600 - 1;
    clock(bits >> 24, MICROS, out);
    let offset = MOST - i64::try_from(bits & 0xff_ffff).unwrap_or(0);
    out.push(if offset < 0 { b'-' } else { b'+' });
    let offset = offset.unsigned_abs();
    padded(offset / 3600, 2, out);
    if !offset.is_multiple_of(3600) {
        out.push(b':');
        padded(offset / 60 % 60, 2, out);
    }
    if !offset.is_multiple_of(60) {
        out.push(b':');
        padded(offset % 60, 2, out);
    }
}

/// An INTERVAL: `1 year 2 months 3 days 04:05:06.7`.
pub fn interval(months: i32, days: i32, micros: i64, out: &mut Vec<u8>) {
    let start = out.len();
    for (value, name) in [(months / 12, "year"), (months % 12, "month"), (days, "day")] {
        if value != 0 {
            if out.len() > start {
                out.push(b' ');
            }
            integer(value, out);
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
            if value.unsigned_abs() != 1 {
                out.push(b's');
            }
        }
    }
    if micros != 0 || out.len() == start {
        if out.len() > start {
            out.push(b' ');
        }
        if micros < 0 {
            out.push(b'-');
        }
        clock(micros.unsigned_abs(), MICROS, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (value, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (-719_162, "0001-01-01"),
            (-719_163, "0001-12-31 (BC)"),
            (i32::MAX, "infinity"),
            (-i32::MAX, "-infinity"),
        ] {
            assert_eq!(written(|out| date(value, out)), expected);
        }
        // Every day follows the one before.
        let mut before = civil(-1_000_001);
        for day in -1_000_000..1_000_000 {
            let next = civil(day);
            let begins = next.2 == 1 && (next.1 == before.1 + 1 || (next.1 == 1 && next.0 == before.0 + 1));
            assert!(begins || (next.2 == before.2 + 1 && next.1 == before.1 && next.0 == before.0), "{day}");
            before = next;
        }
    }

    #[test]
    fn times_lose_trailing_zeros() {
        assert_eq!(written(|out| timestamp(1_704_164_645_120_000, MICROS, out)), "2024-01-02 03:04:05.12");
        assert_eq!(written(|out| timestamp(-1, NANOS, out)), "1969-12-31 23:59:59.999999999");
        assert_eq!(written(|out| timestamp_utc(0, SECONDS, out)), "1970-01-01 00:00:00+00");
        assert_eq!(written(|out| timestamp_utc(i64::MAX, MICROS, out)), "infinity");
        assert_eq!(written(|out| clock(86_400_000_000, MICROS, out)), "24:00:00");
        assert_eq!(written(|out| time_tz(0x00dd_f019_e001_c1fe, out)), "01:02:03.5-15:59:59");
    }

    #[test]
    fn intervals_name_only_what_they_have() {
        for (months, days, micros, expected) in [
            (14, 3, 14_405_500_000, "1 year 2 months 3 days 04:00:05.5"),
            (-25, 0, 0, "-2 years -1 month"),
            (0, -1, 0, "-1 day"),
            (0, 0, 0, "00:00:00"),
            (1, 0, -1, "1 month -00:00:00.000001"),
            (0, 0, 360_000_000_000, "100:00:00"),
        ] {
            assert_eq!(written(|out| interval(months, days, micros, out)), expected);
        }
    }
}
