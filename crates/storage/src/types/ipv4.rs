//! IPv4: `u32`, most significant part first in the text; 0 is NULL (docs/format.md §7).

use std::io::Write;
use std::net::Ipv4Addr;

use crate::error::Result;

use super::text::render;
use super::{ColumnSink, ColumnSource, Rows, Scratch};

/// Length of `255.255.255.255`.
const LONGEST: usize = 15;

pub(super) fn decode<S: ColumnSink>(
    source: &ColumnSource,
    rows: Rows<'_>,
    raw: bool,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<()> {
    if raw {
        return sink.fixed::<u32>(rows.len(), |values| source.read(rows, values), |v| *v == 0);
    }
    let addresses: &[u32] = Scratch::fixed(&mut scratch.words, source, rows)?;
    render(addresses, LONGEST, sink, |address, text| {
        *address != 0 && write!(text, "{}", Ipv4Addr::from_bits(*address)).is_ok()
    })
}
